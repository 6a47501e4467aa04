/** Bringing up a TD of TDX, command by command, and what ends one. */

import {
  KVM_IOAPIC_NUM_PINS,
  KVM_MEMORY_ENCRYPT_REG_REGION,
  KVM_MEMORY_ENCRYPT_UNREG_REGION,
  PAGE_SIZE,
  requestName,
} from '../../abi/index.ts';
import { tdxGuest } from '../../kvm/index.ts';
import { anonymous } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { CONVERTS } from '../conversion.ts';
import { GUEST_VIEW, LaunchScenario, secret } from '../launch-scenario.ts';

const TDX = { vmType: 'tdx' } as const;

const capabilities = defineCase({
  name: 'launch-tdx-capabilities',
  about:
    'A TD is given attributes, features and CPUID entries that the capabilities list, and no others: EINVAL ' +
    '(tdx_get_capabilities(), setup_tdparams()).',
  requires: TDX,
  async run(t) {
    const tdx = tdxGuest(await t.unlaunchedVm('tdx'));
    const { attributes, xfam, cpuid } = t.succeeds(await tdx.tryCapabilities(), 'asking for the capabilities');
    t.ok(cpuid.length > 0, 'there are CPUID entries that userspace decides about');
    const spare = [...Array(64).keys()].map((bit) => 1n << BigInt(bit));
    const stranger = spare.find((bit) => (attributes & bit) === 0n)!;
    t.fails(await tdx.tryInit({ attributes: stranger }), 'EINVAL', 'an attribute that is not offered');
    const feature = spare.find((bit) => (xfam & bit) === 0n)!;
    t.fails(await tdx.tryInit({ xfam: xfam | feature }), 'EINVAL', 'a feature that is not offered');
    const unknown = { ...cpuid[0]!, function: 0x4f_ffff };
    t.fails(await tdx.tryInit({ cpuid: [...cpuid, unknown] }), 'EINVAL', 'a CPUID entry that is not offered');
    t.succeeds(await tdx.tryInit(), 'what is offered');
    t.fails(await tdx.tryInit(), 'EINVAL', 'init again');
  },
});

const order = defineCase({
  name: 'launch-tdx-order',
  about:
    'Init, vCPUs (with a split irqchip), their init, memory, finalize: each is refused out of turn, and nothing is added ' +
    'to a finished TD (tdx_vm_ioctl(), tdx_vcpu_ioctl(), tdx_vcpu_create()).',
  requires: TDX,
  async run(t) {
    const vm = await t.unlaunchedVm('tdx');
    const tdx = tdxGuest(vm);
    t.fails(await tdx.tryFinalize(), 'EINVAL', 'finalize before init');
    t.fails(await vm.tryCreateVcpu(), 'EIO', 'a vCPU before init');
    t.succeeds(await tdx.tryInit(), 'init');
    t.fails(await vm.tryCreateVcpu(), 'EINVAL', 'a vCPU without a split irqchip');
    t.succeeds(await vm.tryEnableCap('KVM_CAP_SPLIT_IRQCHIP', [KVM_IOAPIC_NUM_PINS]), 'a split irqchip');
    const vcpu = await vm.createVcpu();
    t.defer(() => vcpu.close());
    t.fails(await tdx.tryInitMemory(vcpu, { gpa: 0, size: PAGE_SIZE }), 'EINVAL', 'memory before the vCPU’s init');
    t.succeeds(await tdx.tryInitVcpu(vcpu, 7), 'the vCPU’s init');
    t.fails(await tdx.tryInitVcpu(vcpu), 'EINVAL', 'the vCPU’s init again');
    t.succeeds(await tdx.tryFinalize(), 'finalize');
    t.fails(await tdx.tryFinalize(), 'EINVAL', 'finalize again');
    t.fails(await tdx.tryCpuid(vcpu), 'EINVAL', 'asking for CPUID after finalize');
    t.fails(await vm.tryCreateVcpu({ id: 1 }), 'EIO', 'a vCPU after finalize');
  },
});

const cpuid = defineCase({
  name: 'launch-tdx-cpuid',
  about:
    'The module answers CPUID, and KVM_TDX_GET_CPUID says how: the width of addresses is among it (leaf 0x80000008).',
  requires: TDX,
  async run(t) {
    const vm = await t.unlaunchedVm('tdx');
    const tdx = tdxGuest(vm);
    t.succeeds(await tdx.tryInit(), 'init');
    t.succeeds(await vm.tryEnableCap('KVM_CAP_SPLIT_IRQCHIP', [KVM_IOAPIC_NUM_PINS]), 'a split irqchip');
    const vcpu = await vm.createVcpu();
    t.defer(() => vcpu.close());
    const entries = t.succeeds(await tdx.tryCpuid(vcpu), 'asking for CPUID');
    t.ok(
      entries.some((entry) => entry.function === 0x8000_0008),
      'leaf 0x80000008 is there',
    );
  },
});

const sharedBit = defineCase<{ readonly addressWidth: 48 | 52; readonly bit: bigint }>({
  name: 'launch-tdx-shared-bit',
  about: 'The last bit of an address says shared, and no memory region lies above it: EINVAL (kvm_gfn_direct_bits()).',
  requires: { ...TDX, ...GUEST_VIEW },
  variants: {
    '48-bits': { addressWidth: 48, bit: 1n << 47n },
    '52-bits': { addressWidth: 52, bit: 1n << 51n },
  },
  async run(t, { addressWidth, bit }) {
    const s = await LaunchScenario.create(t, 'tdx');
    if (!s.mapping) await s.vm.setMemoryAttributes({ address: s.gpa(0), size: PAGE_SIZE, to: 'shared' });
    t.succeeds(await s.tryLaunch({ tdx: { addressWidth } }), 'the launch');
    const guest = t.mock.guest(s.vm.fd);
    t.equal(guest.write(s.gpa(0) | bit, Uint8Array.of(9)), { ok: true }, 'a write with the bit');
    const read = guest.read(s.gpa(0), 1);
    t.ok(
      !read.ok && read.exit.reason === 'memory-fault' && read.exit.flags === 8n,
      'a read without it is a memory fault',
    );
    const alias = { slot: 1, guestPhysAddr: bit, size: PAGE_SIZE };
    t.fails(await s.vm.trySetMemoryRegion(alias), 'EINVAL', 'a memory region above the bit');
  },
});

const vcpus = defineCase({
  name: 'launch-tdx-runs-its-own-vcpus',
  about: 'A vCPU runs once the TD is final and it is one of the TD’s: EINVAL before (tdx_vcpu_needs_initialization()).',
  requires: { ...TDX, mock: true },
  async run(t) {
    const vm = await t.unlaunchedVm('tdx');
    const tdx = tdxGuest(vm);
    await tdx.init();
    await vm.enableCap('KVM_CAP_SPLIT_IRQCHIP', [KVM_IOAPIC_NUM_PINS]);
    const its = await vm.createVcpu();
    t.defer(() => its.close());
    const other = await vm.createVcpu({ id: 1 });
    t.defer(() => other.close());
    await tdx.initVcpu(its);
    await t.throws(() => its.run(), 'EINVAL', 'running it before finalize');
    await tdx.finalize();
    await t.throws(() => other.run(), 'EINVAL', 'running one that is not the TD’s');
    t.notEqual((await its.run()).reason, 'fail-entry', 'what running it comes to');
  },
});

const unaccepted = defineCase({
  name: 'launch-tdx-with-ve',
  about:
    'Without SEPT_VE_DISABLE a TD is told of pages that it did not accept by #VE, which ends one that has no handler: the ' +
    'VM lives on (tdx_handle_ept_violation()).',
  requires: { ...TDX, ...GUEST_VIEW },
  async run(t) {
    const s = await LaunchScenario.create(t, 'tdx');
    await s.becomesPrivate();
    t.succeeds(await s.tryLaunch({ tdx: { attributes: 0n } }), 'the launch');
    const read = t.mock.guest(s.vm.fd).read(s.gpa(1), 1, { accepts: false });
    t.equal<unknown>(read, { ok: false, exit: { reason: 'shutdown' } }, 'what becomes of the guest');
    t.ok((await s.vm.checkExtension(3)) >= 0, 'the VM answers');
  },
});

const regions = defineCase({
  name: 'launch-tdx-registers-no-memory',
  about: 'Registered memory is SEV’s: ENOTTY on a TD (kvm_arch_vm_ioctl()).',
  requires: TDX,
  async run(t) {
    const vm = await t.unlaunchedVm('tdx');
    const addr = await anonymous(t, PAGE_SIZE);
    for (const ioctl of [KVM_MEMORY_ENCRYPT_REG_REGION, KVM_MEMORY_ENCRYPT_UNREG_REGION]) {
      t.fails(await t.host.raw.tryIoctl(vm, ioctl, { addr, size: PAGE_SIZE }), 'ENOTTY', requestName(ioctl));
    }
  },
});

const seamcall = defineCase({
  name: 'launch-tdx-then-a-failing-unmap',
  about:
    'A SEAMCALL that fails while a page is taken out of the secure EPT kills the VM: everything on it answers EIO, and the ' +
    'page stays the TD’s until that is torn down (tdx_sept_remove_leaf_spte(), TDX_BUG_ON()).',
  requires: { ...CONVERTS, ...TDX, faults: true, guest: true, dialect: ['rfc-convert', 'attributes2'] },
  async run(t) {
    const s = await LaunchScenario.create(t, 'tdx');
    await s.becomesPrivate();
    const memory = [{ gpa: s.gpa(0), contents: secret }];
    t.succeeds(await s.tryLaunch({ vcpus: 1, memory }), 'the launch');
    t.mock.faults.failSeamcall(1);
    await s.gmem.tryConvert({ offset: 0, size: PAGE_SIZE, to: 'shared' });
    await t.throws(() => s.vm.checkExtension(3), 'VmDeadError', 'asking the VM');
    await t.throws(() => s.vm.createVcpu({ id: 7 }), 'VmDeadError', 'making a vCPU');
    t.equal(t.mock.pageOwner(s.gmem.fd, 0) !== undefined, true, 'whether the TD still has the page');
  },
});

export const cases: readonly AnyCase[] = [capabilities, order, cpuid, sharedBit, vcpus, unaccepted, regions, seamcall];
