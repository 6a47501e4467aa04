/** Bringing up a guest of SEV-SNP, command by command. */

import { PAGE_SIZE, SNP_POLICY_RSVD_MBO, SNP_POLICY_SMT, type SnpPageType, snpPageTypes } from '../../abi/index.ts';
import { sevGuest } from '../../kvm/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { GUEST_VIEW, LaunchScenario, secret } from '../launch-scenario.ts';

const SNP = { vmType: 'snp' } as const;

const order = defineCase({
  name: 'launch-snp-order',
  about:
    'Init, start, finish: each is refused out of turn, by KVM with ENOTTY, EPERM or EINVAL and by the firmware with EIO ' +
    'and its own code (sev_mem_enc_ioctl()).',
  requires: SNP,
  async run(t) {
    const sev = sevGuest(await t.unlaunchedVm('snp'));
    t.fails(await sev.tryStart(), 'ENOTTY', 'start before init');
    t.succeeds(await sev.tryInit(), 'init');
    t.fails(await sev.tryInit(), 'EPERM', 'init again');
    t.fails(await sev.tryFinish(), 'EINVAL', 'finish before start');
    t.succeeds(await sev.tryStart(), 'start');
    t.fails(await sev.tryStart(), 'EINVAL', 'start again');
    t.succeeds(await sev.tryFinish(), 'finish');
    const { error } = t.fails(await sev.tryFinish(), 'EIO', 'finish again');
    t.equal<unknown>(error.firmware?.name, 'SEV_RET_INVALID_GUEST_STATE', 'what the firmware says');
  },
});

const policy = defineCase({
  name: 'launch-snp-policy',
  about:
    'A policy has bit 17 and no bit that KVM does not offer, which its attribute tells: EINVAL (snp_launch_start(), ' +
    'KVM_X86_SNP_POLICY_BITS).',
  requires: SNP,
  async run(t) {
    const attributes = await t.host.sevAttributes();
    const known = attributes.policyBits ?? SNP_POLICY_RSVD_MBO | SNP_POLICY_SMT;
    t.equal(known & SNP_POLICY_RSVD_MBO, SNP_POLICY_RSVD_MBO, 'bit 17 among what is offered');
    const sev = sevGuest(await t.unlaunchedVm('snp'));
    t.succeeds(await sev.tryInit(), 'init');
    t.fails(await sev.tryStart({ policy: SNP_POLICY_SMT }), 'EINVAL', 'a policy without bit 17');
    const unknown = [...Array(64).keys()].map((bit) => 1n << BigInt(bit)).filter((bit) => (known & bit) === 0n);
    for (const bit of unknown) {
      t.fails(
        await sev.tryStart({ policy: SNP_POLICY_RSVD_MBO | bit }),
        'EINVAL',
        `a policy with bit 0x${bit.toString(16)}`,
      );
    }
    t.succeeds(await sev.tryStart({ policy: SNP_POLICY_RSVD_MBO | SNP_POLICY_SMT }), 'a policy of what is offered');
  },
});

const features = defineCase({
  name: 'launch-snp-features',
  about:
    'VMSA features that KVM does not offer are EINVAL, and its attribute tells those it does (__sev_guest_init()).',
  requires: SNP,
  async run(t) {
    const { vmsaFeatures = 0n } = await t.host.sevAttributes();
    for (const bit of [...Array(64).keys()].map((at) => 1n << BigInt(at)).filter((at) => (vmsaFeatures & at) === 0n)) {
      const sev = sevGuest(await t.unlaunchedVm('snp'));
      const what = `VMSA feature 0x${bit.toString(16)}`;
      t.fails(await sev.tryInit({ vmsaFeatures: bit }), 'EINVAL', what);
      if (bit > 0x8000n) break;
    }
    t.succeeds(await sevGuest(await t.unlaunchedVm('snp')).tryInit({ vmsaFeatures }), 'all that are offered');
  },
});

const strict = defineCase({
  name: 'launch-snp-policy-of-the-firmware',
  about:
    'A policy that the platform does not meet (no SMT, on a host with SMT; another firmware) is the firmware’s to refuse: EIO, POLICY_FAILURE.',
  requires: { ...SNP, mock: true },
  async run(t) {
    const sev = sevGuest(await t.unlaunchedVm('snp'));
    t.succeeds(await sev.tryInit(), 'init');
    const policy = (abiMajor: bigint) => SNP_POLICY_RSVD_MBO | SNP_POLICY_SMT | (abiMajor << 8n);
    for (const [what, unmet] of [
      ['a policy without SMT', SNP_POLICY_RSVD_MBO],
      ['a policy of a firmware that is newer', policy(2n)],
    ] as const) {
      const { error } = t.fails(await sev.tryStart({ policy: unmet }), 'EIO', what);
      t.equal<unknown>(error.firmware?.name, 'SEV_RET_POLICY_FAILURE', 'what the firmware says');
    }
    t.succeeds(await sev.tryStart({ policy: policy(1n) }), 'a policy of this firmware');
  },
});

const entry = defineCase({
  name: 'launch-snp-seals-vcpus',
  about: 'A vCPU that the launch did not seal does not enter: KVM_EXIT_FAIL_ENTRY (pre_sev_run()).',
  requires: { ...SNP, mock: true },
  async run(t) {
    const vm = await t.unlaunchedVm('snp');
    const sev = sevGuest(vm);
    t.succeeds(await sev.tryInit(), 'init');
    const early = await vm.createVcpu();
    t.defer(() => early.close());
    t.equal((await early.run()).reason, 'fail-entry', 'running before the launch');
    t.succeeds(await sev.tryStart(), 'start');
    t.succeeds(await sev.tryFinish(), 'finish');
    const late = await vm.createVcpu({ id: 1 });
    t.defer(() => late.close());
    t.equal((await late.run()).reason, 'fail-entry', 'running one that was made after the launch');
  },
});

const TYPES = Object.fromEntries(Object.keys(snpPageTypes).map((type) => [type, type])) as Record<string, SnpPageType>;

const pageTypes = defineCase<SnpPageType>({
  name: 'launch-snp-page-types',
  about: 'Pages of every type are the guest’s after the launch, and the firmware clears those of type zero.',
  requires: { ...SNP, ...GUEST_VIEW },
  variants: TYPES,
  async run(t, type) {
    const s = await LaunchScenario.create(t, 'snp');
    await s.mapping?.write(0, secret);
    await s.becomesPrivate();
    t.succeeds(await s.tryLaunch({ memory: [{ gpa: s.gpa(0), contents: secret, type }] }), `a page of type ${type}`);
    await s.guestFinds(0, type === 'zero' ? new Uint8Array(PAGE_SIZE) : secret);
  },
});

export const cases: readonly AnyCase[] = [order, policy, features, strict, entry, pageTypes];
