/** Bringing a confidential VM up: what SEV-SNP and TDX have in common. */

import {
  errno,
  KVM_MEMORY_ENCRYPT_OP,
  KVM_MEMORY_ENCRYPT_REG_REGION,
  KVM_MEMORY_ENCRYPT_UNREG_REGION,
  PAGE_SIZE,
  requestName,
} from '../../abi/index.ts';
import type { Vcpu } from '../../kvm/index.ts';
import { anonymous } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { UNKNOWN_COMMAND } from '../encrypt-op.ts';
import { CONFIDENTIAL, type Confidential, GUEST_VIEW, LaunchScenario, ofType, secret } from '../launch-scenario.ts';
import { cases as sev } from './launch-sev.ts';
import { cases as sevCommands } from './launch-sev-commands.ts';
import { cases as snp } from './launch-snp.ts';
import { cases as snpCommands } from './launch-snp-commands.ts';
import { cases as tdx } from './launch-tdx.ts';
import { cases as tdxCommands } from './launch-tdx-commands.ts';
import { cases as sevRegions } from './sev-regions.ts';

const contents = defineCase<Confidential>({
  name: 'launch-contents',
  about:
    'The guest begins with the pages it was given, and zeroes where it was given those (snp_launch_update(), ' +
    'tdx_vcpu_init_mem_region()).',
  requires: ofType(GUEST_VIEW),
  variants: CONFIDENTIAL,
  async run(t, type) {
    const s = await LaunchScenario.create(t, type);
    await s.becomesPrivate();
    const memory = [
      { gpa: s.gpa(0), contents: secret },
      { gpa: s.gpa(1), size: 2 * PAGE_SIZE },
    ];
    const { vcpus } = t.succeeds(await s.tryLaunch({ vcpus: 2, memory }), 'the launch');
    t.equal(
      vcpus.map(({ id }) => id),
      [0, 1],
      'its vCPUs',
    );
    await s.guestFinds(0, secret);
    await s.guestFinds(2, new Uint8Array(PAGE_SIZE));
    t.equal((await t.guest(s.vm).read(s.gpa(3), 1, 'private')).ok, true, 'the guest takes a page it was not given');
  },
});

const works = defineCase<Confidential>({
  name: 'launch',
  about: 'All commands of a launch in their order are accepted, with memory and two vCPUs, and once only.',
  requires: ofType(),
  variants: CONFIDENTIAL,
  async run(t, type) {
    const s = await LaunchScenario.create(t, type);
    await s.becomesPrivate();
    const memory = [{ gpa: s.gpa(0), contents: secret }];
    t.succeeds(await s.tryLaunch({ vcpus: 2, memory }), 'the launch');
    const again = await s.tryLaunch({});
    t.equal(again.ok, false, 'whether it can be launched a second time');
  },
});

const shared = defineCase<Confidential>({
  name: 'launch-of-shared-memory',
  about: 'Pages that the host may touch are not launched: EIO of SEV-SNP, EINVAL of TDX (kvm_gmem_populate()).',
  requires: ofType(),
  variants: CONFIDENTIAL,
  async run(t, type) {
    const s = await LaunchScenario.create(t, type);
    if (!s.mapping) await s.vm.setMemoryAttributes({ address: s.gpa(0), size: PAGE_SIZE, to: 'shared' });
    const launched = await s.tryLaunch({ vcpus: 1, memory: [{ gpa: s.gpa(0), contents: secret }] });
    const { error } = t.fails(launched, type === 'snp' ? 'EIO' : 'EINVAL', 'launching shared memory');
    const command = type === 'snp' ? 'KVM_SEV_SNP_LAUNCH_UPDATE' : 'KVM_TDX_INIT_MEM_REGION';
    t.equal<unknown>(error.command, command, 'the command that was refused');
  },
});

const twice = defineCase<Confidential>({
  name: 'launch-of-a-page-twice',
  about: 'A page is launched once: EIO, since the guest has it already.',
  requires: ofType(),
  variants: CONFIDENTIAL,
  async run(t, type) {
    const s = await LaunchScenario.create(t, type);
    await s.becomesPrivate();
    const region = { gpa: s.gpa(0), contents: secret };
    t.fails(await s.tryLaunch({ vcpus: 1, memory: [region, region] }), 'EIO', 'launching a page twice');
  },
});

const inPlace = defineCase<Confidential>({
  name: 'launch-in-place',
  about:
    'Without a source the guest begins with what the host wrote before the page became private, on kernels that convert ' +
    'in place ("guest_memfd: In-place conversion support").',
  requires: ofType({ ...GUEST_VIEW, dialect: ['attributes2'], flags: ['mmap', 'init-shared'] }),
  variants: CONFIDENTIAL,
  async run(t, type) {
    const s = await LaunchScenario.create(t, type);
    await s.mapping!.write(0, secret);
    await s.becomesPrivate();
    const memory = [{ gpa: s.gpa(0), size: PAGE_SIZE, contents: 'in-place' as const }];
    t.succeeds(await s.tryLaunch({ vcpus: 1, memory }), 'the launch');
    await s.guestFinds(0, secret);
  },
});

const needsSource = defineCase<Confidential>({
  name: 'launch-needs-a-source',
  about: 'Where conversion is not in place, or is the RFC’s of 2025, contents have a source: EINVAL without one.',
  requires: ofType({ dialect: ['vm-attributes', 'rfc-convert'] }),
  variants: CONFIDENTIAL,
  async run(t, type) {
    const s = await LaunchScenario.create(t, type);
    await s.becomesPrivate();
    const memory = [{ gpa: s.gpa(0), size: PAGE_SIZE, contents: 'in-place' as const }];
    t.fails(await s.tryLaunch({ vcpus: 1, memory }), 'EINVAL', 'launching without a source');
  },
});

const sealed = defineCase<Confidential>({
  name: 'launch-seals-registers',
  about: 'A launched vCPU’s registers are its own: reading and setting them is EINVAL (guest_state_protected).',
  requires: ofType(),
  variants: CONFIDENTIAL,
  async run(t, type) {
    const s = await LaunchScenario.create(t, type);
    const { vcpus } = t.succeeds(await s.tryLaunch({ vcpus: 1 }), 'the launch');
    await t.throws(() => vcpus[0]!.regs(), 'EINVAL', 'reading registers');
    await t.throws(() => vcpus[0]!.setRegs({ rip: 0n }), 'EINVAL', 'setting registers');
    await t.throws(() => vcpus[0]!.sregs(), 'EINVAL', 'reading special registers');
  },
});

const preFault = defineCase<Confidential>({
  name: 'launch-then-pre-fault',
  about: 'Private memory is populated ahead once the VM is launched, and not before: EOPNOTSUPP (pre_fault_allowed).',
  requires: ofType({ capability: 'KVM_CAP_PRE_FAULT_MEMORY' }),
  variants: CONFIDENTIAL,
  async run(t, type) {
    const s = await LaunchScenario.create(t, type);
    await s.becomesPrivate();
    const range = { gpa: s.gpa(0), size: PAGE_SIZE };
    const options = {
      vcpus: 1,
      setUp: async (vcpu: Vcpu) => {
        t.fails(await vcpu.tryPreFault(range), 'EOPNOTSUPP', 'populating memory before the launch');
      },
    };
    const { vcpus } = t.succeeds(await s.tryLaunch(options), 'the launch');
    t.succeeds(await vcpus[0]!.tryPreFault(range), 'populating memory after it');
  },
});

const unaccepted = defineCase<Confidential>({
  name: 'launch-then-an-unaccepted-page',
  about:
    'A page that the guest uses and never accepted is its end: a fault in the guest on SEV-SNP, the death of the VM on TDX.',
  requires: ofType(GUEST_VIEW),
  variants: CONFIDENTIAL,
  async run(t, type) {
    const s = await LaunchScenario.create(t, type);
    await s.becomesPrivate();
    t.succeeds(await s.tryLaunch({ vcpus: 1, memory: [{ gpa: s.gpa(0), contents: secret }] }), 'the launch');
    const guest = t.mock.guest(s.vm.fd);
    t.equal(guest.read(s.gpa(0), 1, { accepts: false }).ok, true, 'whether it may use what it was launched with');
    const exit =
      type === 'snp' ? ({ reason: 'shutdown' } as const) : ({ reason: 'failed', errno: -errno.EIO } as const);
    t.equal<unknown>(guest.read(s.gpa(1), 1, { accepts: false }), { ok: false, exit }, 'what becomes of another page');
    if (type === 'tdx') await t.throws(() => s.vm.checkExtension(3), 'VmDeadError', 'asking the VM');
  },
});

const plainVcpu = defineCase({
  name: 'encrypt-op-on-a-plain-vcpu',
  about:
    'Commands for vCPUs are TDX’s: ENOTTY, or EINVAL where KVM has TDX and the VM is no TD (kvm_arch_vcpu_ioctl(), ' +
    'vt_vcpu_mem_enc_unlocked_ioctl()).',
  async run(t) {
    const vm = await t.vm();
    const vcpu = await vm.createVcpu();
    t.defer(() => vcpu.close());
    const mocked = t.features.vmTypes.includes('tdx') ? 'EINVAL' : 'ENOTTY';
    const outcome = await t.host.raw.tryIoctl(vcpu, KVM_MEMORY_ENCRYPT_OP, {});
    t.fails(outcome, t.host.mock ? mocked : ['EINVAL', 'ENOTTY'], 'an empty command');
  },
});

const plainVm = defineCase({
  name: 'encrypt-op-on-a-plain-vm',
  about:
    'A VM without encrypted memory registers none: ENOTTY; nor does it know a command: ENOTTY, or EINVAL where KVM has SEV ' +
    '(kvm_arch_vm_ioctl(), sev_mem_enc_ioctl()).',
  async run(t) {
    const vm = await t.vm();
    const { raw } = t.host;
    const addr = await anonymous(t, PAGE_SIZE);
    for (const ioctl of [KVM_MEMORY_ENCRYPT_REG_REGION, KVM_MEMORY_ENCRYPT_UNREG_REGION]) {
      t.fails(await raw.tryIoctl(vm, ioctl, { addr, size: PAGE_SIZE }), 'ENOTTY', requestName(ioctl));
    }
    const outcome = await raw.tryIoctl(vm, KVM_MEMORY_ENCRYPT_OP, { id: UNKNOWN_COMMAND.id });
    const mocked = t.features.vmTypes.includes('sev') ? 'EINVAL' : 'ENOTTY';
    t.fails(outcome, t.host.mock ? mocked : ['EINVAL', 'ENOTTY'], 'an unknown command');
  },
});

export const cases: readonly AnyCase[] = [
  plainVm,
  plainVcpu,
  works,
  contents,
  shared,
  twice,
  inPlace,
  needsSource,
  sealed,
  preFault,
  unaccepted,
  ...sev,
  ...sevCommands,
  ...sevRegions,
  ...snp,
  ...snpCommands,
  ...tdx,
  ...tdxCommands,
];
