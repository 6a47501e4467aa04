/** Commands of SEV-SNP that KVM or the firmware refuses, one by one and in the order of their checks. */

import {
  type ErrnoName,
  KVM_MEMORY_ENCRYPT_OP,
  KVM_SEV_ES_INIT,
  KVM_SEV_GUEST_STATUS,
  KVM_SEV_INIT,
  KVM_SEV_INIT2,
  KVM_SEV_LAUNCH_FINISH,
  KVM_SEV_LAUNCH_MEASURE,
  KVM_SEV_LAUNCH_START,
  KVM_SEV_LAUNCH_UPDATE_DATA,
  KVM_SEV_LAUNCH_UPDATE_VMSA,
  KVM_SEV_SNP_ENABLE_REQ_CERTS,
  KVM_SEV_SNP_ID_AUTH_SIZE,
  KVM_SEV_SNP_ID_BLOCK_SIZE,
  KVM_SEV_SNP_LAUNCH_FINISH,
  KVM_SEV_SNP_LAUNCH_START,
  KVM_SEV_SNP_LAUNCH_UPDATE,
  PAGE_SIZE,
  SEV_RET_INVALID_GUEST_STATE,
  SNP_POLICY_RSVD_MBO,
  SNP_POLICY_SMT,
  snpPageTypes,
} from '../../abi/index.ts';
import { NO_FD } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { type SevRefusal, UNKNOWN_COMMAND, UNTOUCHED } from '../encrypt-op.ts';
import { type SnpStage, SnpWorld } from '../snp-world.ts';

const SNP = { vmType: 'snp' } as const;
const P = BigInt(PAGE_SIZE);
const ID_BLOCK = BigInt(KVM_SEV_SNP_ID_BLOCK_SIZE);
const ID_AUTH = BigInt(KVM_SEV_SNP_ID_AUTH_SIZE);
const GHCB_VERSION_BEYOND = 0xffff;
/** SNP_PAGE_TYPE_VMSA: the firmware's, and KVM takes none from userspace. */
const TYPE_VMSA = 2;

type Values = (world: SnpWorld) => Readonly<Record<string, unknown>>;

interface Refusal extends SevRefusal {
  readonly at: SnpStage;
  readonly values?: Values;
  readonly vcpu?: true;
  /** What the guest has of its pages all the same. */
  readonly pages?: number;
  /** What is checked is the mock's. */
  readonly mock?: true;
}

const init = (values: object, code: ErrnoName): Refusal => ({
  at: 'made',
  command: KVM_SEV_INIT2,
  values: () => ({ ...values }),
  code,
});
const start = (values: object, others: Partial<Refusal>): Refusal => ({
  at: 'initialized',
  command: KVM_SEV_SNP_LAUNCH_START,
  values: () => ({ policy: SNP_POLICY_RSVD_MBO | SNP_POLICY_SMT, ...values }),
  code: 'EINVAL',
  ...others,
});
const update = (change: Values, others: Partial<Refusal> = {}): Refusal => ({
  at: 'started',
  command: KVM_SEV_SNP_LAUNCH_UPDATE,
  values: (world) => ({ ...world.update(), ...change(world) }),
  code: 'EINVAL',
  ...others,
});
const finish = (change: Values, others: Partial<Refusal> = {}): Refusal => ({
  at: 'started',
  command: KVM_SEV_SNP_LAUNCH_FINISH,
  values: change,
  code: 'EINVAL',
  ...others,
});
const unchanged = () => ({});

const LEGACY = {
  'legacy-start': KVM_SEV_LAUNCH_START,
  'legacy-update-data': KVM_SEV_LAUNCH_UPDATE_DATA,
  'legacy-update-vmsa': KVM_SEV_LAUNCH_UPDATE_VMSA,
  'legacy-measure': KVM_SEV_LAUNCH_MEASURE,
  'legacy-finish': KVM_SEV_LAUNCH_FINISH,
  'legacy-status': KVM_SEV_GUEST_STATUS,
};

/** Each of SEV's own commands: without a key, and once the VM is one of SNP. */
const legacy = Object.fromEntries(
  Object.entries(LEGACY).flatMap(([name, command]): [string, Refusal][] => [
    [`${name}-before-init`, { at: 'made', command, code: 'ENOTTY' }],
    [name, { at: 'initialized', command, code: 'EPERM' }],
  ]),
);

const refusals = defineCase<Refusal>({
  name: 'launch-snp-refuses',
  about:
    'What is wrong with a command is told by an errno, check by check; `error` is the firmware’s, or as it was ' +
    '(sev_mem_enc_ioctl(), __sev_guest_init(), snp_launch_start(), _update(), _finish()).',
  requires: ({ mock }) => ({ ...SNP, ...(mock && { mock }) }),
  variants: {
    'unknown-command': { at: 'made', command: UNKNOWN_COMMAND, code: 'EINVAL' },
    'init-of-the-first-kind': { at: 'made', command: KVM_SEV_INIT, code: 'EINVAL' },
    'init-of-the-first-kind-for-es': { at: 'made', command: KVM_SEV_ES_INIT, code: 'EINVAL' },
    'init-cut-off': { ...init({}, 'EFAULT'), place: 'cut-off' },
    'init-with-a-vcpu': { ...init({}, 'EINVAL'), vcpu: true },
    'init-flags': init({ flags: 1 }, 'EINVAL'),
    'init-ghcb-version-1': init({ ghcb_version: 1 }, 'EINVAL'),
    'init-ghcb-version-3': { ...init({ ghcb_version: 3 }, 'EINVAL'), mock: true },
    'init-ghcb-version-of-no-kernel': init({ ghcb_version: GHCB_VERSION_BEYOND }, 'EINVAL'),
    'start-before-init': start({}, { at: 'made', code: 'ENOTTY' }),
    'update-before-init': update(unchanged, { at: 'made' }),
    'finish-before-init': finish(unchanged, { at: 'made', code: 'ENOTTY' }),
    'certs-before-init': { at: 'made', command: KVM_SEV_SNP_ENABLE_REQ_CERTS, code: 'EINVAL' },
    ...legacy,
    'certs-with-a-vcpu': { at: 'initialized', command: KVM_SEV_SNP_ENABLE_REQ_CERTS, vcpu: true, code: 'EINVAL' },
    'start-cut-off': start({}, { place: 'cut-off', code: 'EFAULT' }),
    'start-flags': start({ flags: 1 }, {}),
    'start-without-the-firmware': start({}, { fd: NO_FD, code: 'ENOTTY' }),
    'start-again': start({}, { at: 'started' }),
    'update-before-start': update(unchanged, { at: 'initialized' }),
    'update-cut-off': update(unchanged, { place: 'cut-off', code: 'EFAULT' }),
    'update-of-nothing': update(() => ({ len: 0n })),
    'update-of-a-part-of-a-page': update(() => ({ len: P - 1n })),
    'update-flags': update(() => ({ flags: 1 })),
    'update-type-0': update(() => ({ type: 0 })),
    'update-type-of-a-vcpu': update(() => ({ type: TYPE_VMSA })),
    'update-type-beyond': update(() => ({ type: snpPageTypes.cpuid + 1 })),
    'update-from-a-misaligned-source': update(({ source }) => ({ uaddr: source + 1n })),
    'update-where-no-slot-is': update(({ s }) => ({ gfn_start: s.gpa(-1) / P })),
    'update-where-no-guest-memfd-is': update(({ plain }) => ({ gfn_start: plain / P })),
    'update-from-nowhere': update(({ ends }) => ({ uaddr: ends }), { code: 'EIO', firmware: 0 }),
    'update-cpuid-from-a-read-only-source': update(({ ends }) => ({ type: snpPageTypes.cpuid, uaddr: ends - P }), {
      code: 'EIO',
      firmware: 0,
    }),
    'update-without-the-firmware': update(unchanged, { fd: NO_FD, code: 'EIO', firmware: 0 }),
    'update-cannot-be-told': update(unchanged, { place: 'read-only', code: 'EFAULT', pages: 1 }),
    'update-after-finish': update(unchanged, { at: 'finished', code: 'EIO', firmware: SEV_RET_INVALID_GUEST_STATE }),
    'finish-before-start': finish(unchanged, { at: 'initialized' }),
    'finish-cut-off': finish(unchanged, { place: 'cut-off', code: 'EFAULT' }),
    'finish-flags': finish(() => ({ flags: 1 })),
    'finish-with-an-id-block-nowhere': finish(({ source }) => ({ id_block_en: 1, id_auth_uaddr: source })),
    'finish-with-an-id-auth-nowhere': finish(({ source }) => ({ id_block_en: 1, id_block_uaddr: source })),
    'finish-with-an-unreadable-id-block': finish(
      ({ source, ends }) => ({ id_block_en: 1, id_block_uaddr: ends - ID_BLOCK + 1n, id_auth_uaddr: source }),
      { code: 'EFAULT' },
    ),
    'finish-with-an-unreadable-id-auth': finish(
      ({ source, ends }) => ({ id_block_en: 1, id_block_uaddr: source, id_auth_uaddr: ends - ID_AUTH + 1n }),
      { code: 'EFAULT' },
    ),
    'finish-with-a-vcpu-and-no-firmware': finish(unchanged, { vcpu: true, fd: NO_FD, code: 'EBADF' }),
    'finish-again': finish(unchanged, { at: 'finished', code: 'EIO', firmware: SEV_RET_INVALID_GUEST_STATE }),
    'finish-again-with-a-vcpu': finish(unchanged, {
      at: 'finished',
      vcpu: true,
      code: 'EIO',
      firmware: SEV_RET_INVALID_GUEST_STATE,
    }),
  },
  async run(t, { at, values, vcpu, pages = 0, ...refusal }) {
    const world = await SnpWorld.create(t, at);
    if (vcpu) await world.vcpu();
    await world.op.isRefused(world.s.vm, refusal, values?.(world) ?? {});
    t.equal(t.host.mock?.guestPages ?? pages, pages, 'pages that the guest has');
  },
});

const versions = defineCase<number>({
  name: 'launch-snp-ghcb-version',
  about: 'Version 2 of the GHCB protocol is what a guest gets, asked for or not (__sev_guest_init()).',
  requires: SNP,
  variants: { default: 0, '2': 2 },
  async run(t, ghcb_version) {
    const world = await SnpWorld.create(t, 'made');
    t.succeeds(await world.issue(KVM_SEV_INIT2, { values: { ghcb_version } }), 'init');
  },
});

const identified = defineCase({
  name: 'launch-snp-finish-with-an-identity',
  about:
    'An identity block has 96 bytes and its authentication a page; what they say is the firmware’s to check ' +
    '(snp_launch_finish(), psp_copy_user_blob()). The mock’s takes any.',
  requires: { ...SNP, mock: true },
  async run(t) {
    const world = await SnpWorld.create(t, 'started');
    const values = { id_block_en: 1, id_block_uaddr: world.ends - ID_BLOCK, id_auth_uaddr: world.ends - ID_AUTH };
    const { ret } = t.succeeds(await world.issue(KVM_SEV_SNP_LAUNCH_FINISH, { values }), 'finish');
    t.equal(ret, 0, 'what it returns');
    t.fails(await world.issue(KVM_SEV_SNP_LAUNCH_FINISH, { values }), 'EIO', 'finish again');
  },
});

const again = defineCase({
  name: 'launch-snp-finish-after-one-that-failed',
  about:
    'A finish seals the vCPUs before it looks at the identity block. Where that fails, the next finish is EINVAL, for the ' +
    'vCPUs that are sealed (sev_es_sync_vmsa()).',
  requires: SNP,
  async run(t) {
    const world = await SnpWorld.create(t, 'started');
    await world.vcpu();
    const wrong = { values: { id_block_en: 1 }, error: UNTOUCHED };
    t.fails(await world.issue(KVM_SEV_SNP_LAUNCH_FINISH, wrong), 'EINVAL', 'finish without its identity block');
    await world.op.isRefused(world.s.vm, { command: KVM_SEV_SNP_LAUNCH_FINISH, code: 'EINVAL' }, {});
  },
});

const accepted = defineCase({
  name: 'launch-snp-certificates',
  about: 'A guest of SNP may be given certificates from its init on, before its vCPUs (snp_enable_certs()).',
  requires: SNP,
  async run(t) {
    const world = await SnpWorld.create(t, 'initialized');
    const { ret } = t.succeeds(await world.issue(KVM_SEV_SNP_ENABLE_REQ_CERTS), 'asking for certificates');
    t.equal(ret, 0, 'what it returns');
  },
});

const none = defineCase({
  name: 'launch-snp-without-a-command',
  about: 'No command at all asks whether there is SEV: a null pointer is fine (sev_mem_enc_ioctl()).',
  requires: SNP,
  async run(t) {
    const vm = await t.unlaunchedVm('snp');
    t.succeeds(await t.host.raw.tryIoctl(vm, KVM_MEMORY_ENCRYPT_OP.request, 0), 'a null pointer');
  },
});

interface Stop {
  /** Pages that are asked for, from which on. */
  readonly first: number;
  readonly pages: number;
  readonly type: number;
  /** Of the source; otherwise it has all. */
  readonly from?: (world: SnpWorld) => bigint;
  readonly launched?: number;
}

const stops = defineCase<Stop>({
  name: 'launch-snp-update-stops',
  about:
    'An update ends with its memory region, or before a page that is refused, and says how far it got; the source of ' +
    'zeroes stays (snp_launch_update(), kvm_gmem_populate()).',
  requires: SNP,
  variants: {
    'at-the-end-of-the-region': { first: 3, pages: 2, type: snpPageTypes.normal },
    'at-the-end-of-the-region-with-zeroes': { first: 3, pages: 2, type: snpPageTypes.zero },
    'before-a-page-that-was-launched': { first: 0, pages: 2, type: snpPageTypes.unmeasured, launched: 1 },
    'where-the-source-ends': { first: 0, pages: 2, type: snpPageTypes.normal, from: ({ ends }) => ends - P },
  },
  async run(t, { first, pages, type, from, launched }) {
    const world = await SnpWorld.create(t, 'started');
    const gfn_start = world.s.gpa(first) / P;
    if (launched !== undefined) {
      const one = { ...world.update(), gfn_start: world.s.gpa(launched) / P };
      t.succeeds(await world.issue(KVM_SEV_SNP_LAUNCH_UPDATE, { values: one }), 'launching one page');
    }
    const uaddr = from?.(world) ?? world.source;
    const values = { gfn_start, uaddr, len: BigInt(pages) * P, type };
    const outcome = await world.issue(KVM_SEV_SNP_LAUNCH_UPDATE, { values, error: UNTOUCHED });
    t.succeeds(outcome, 'launching more than can be');
    t.equal(outcome.out.error, UNTOUCHED, 'what is in its error');
    const left = await world.op.left(KVM_SEV_SNP_LAUNCH_UPDATE);
    t.equal(left.gfn_start, gfn_start + 1n, 'the next page');
    t.equal(left.len, P, 'what is left of its length');
    t.equal(left.uaddr, type === snpPageTypes.zero ? uaddr : uaddr + P, 'where its source goes on');
  },
});

const itsFd = defineCase<{ readonly closes: boolean; readonly vcpu: boolean; readonly code?: ErrnoName }>({
  name: 'launch-snp-finish-goes-by-the-fd-of-start',
  about:
    'KVM keeps the number of the fd that a launch was begun with, and finishes with that: EBADF where it was closed, ' +
    'while the fd of the command itself is for vCPUs (sev_issue_cmd(), snp_launch_update_vmsa()).',
  requires: SNP,
  variants: {
    open: { closes: false, vcpu: false },
    'open-with-a-vcpu': { closes: false, vcpu: true, code: 'EBADF' },
    closed: { closes: true, vcpu: false, code: 'EBADF' },
  },
  async run(t, { closes, vcpu, code }) {
    const world = await SnpWorld.create(t, 'started');
    if (vcpu) await world.vcpu();
    if (closes) await world.op.closeSevFd();
    const outcome = await world.issue(KVM_SEV_SNP_LAUNCH_FINISH, { fd: NO_FD });
    if (code) t.fails(outcome, code, 'finishing');
    else t.succeeds(outcome, 'finishing without an fd');
  },
});

export const cases: readonly AnyCase[] = [refusals, versions, identified, again, none, accepted, stops, itsFd];
