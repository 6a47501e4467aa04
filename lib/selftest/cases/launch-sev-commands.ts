/** Commands of SEV and SEV-ES that KVM or the firmware refuses, one by one and in the order of their checks. */

import {
  type AnyCommand,
  type ErrnoName,
  KVM_SEV_GUEST_STATUS,
  KVM_SEV_INIT2,
  KVM_SEV_LAUNCH_FINISH,
  KVM_SEV_LAUNCH_MEASURE,
  KVM_SEV_LAUNCH_START,
  KVM_SEV_LAUNCH_UPDATE_DATA,
  KVM_SEV_LAUNCH_UPDATE_VMSA,
  PAGE_SIZE,
  SEV_FW_BLOB_MAX_SIZE,
  SEV_MEASUREMENT_SIZE,
  SEV_RET_ASID_OWNED,
  SEV_RET_INVALID_ADDRESS,
  SEV_RET_INVALID_GUEST_STATE,
  SEV_RET_INVALID_LEN,
  SVM_SEV_FEAT_DEBUG_SWAP,
} from '../../abi/index.ts';
import { endOfMemory, NO_FD } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { SevRefusal } from '../encrypt-op.ts';
import { policyOf, type Sev, SevWorld } from '../sev-world.ts';

const P = BigInt(PAGE_SIZE);

interface Refusal extends SevRefusal {
  readonly type?: Sev;
  readonly at: 'made' | 'initialized' | 'started';
  readonly values?: (w: SevWorld) => Readonly<Record<string, unknown>>;
  readonly vcpu?: true;
  /** What is checked is the mock's firmware. */
  readonly mock?: true;
}

const refusal =
  (command: AnyCommand, at: Refusal['at'], base: Refusal['values'] = () => ({})) =>
  (code: ErrnoName, change: Refusal['values'] = () => ({}), others: Partial<Refusal> = {}): Refusal => ({
    command,
    at,
    values: (w) => ({ ...base(w), ...change(w) }),
    code,
    ...others,
  });
const init = refusal(KVM_SEV_INIT2, 'made');
const start = refusal(KVM_SEV_LAUNCH_START, 'initialized', () => ({ policy: policyOf('sev') }));
const data = refusal(KVM_SEV_LAUNCH_UPDATE_DATA, 'started', ({ memory }) => ({ uaddr: memory, len: PAGE_SIZE }));
const vmsa = refusal(KVM_SEV_LAUNCH_UPDATE_VMSA, 'started');
const measure = refusal(KVM_SEV_LAUNCH_MEASURE, 'started', ({ memory }) => ({
  uaddr: memory,
  len: SEV_MEASUREMENT_SIZE,
}));
const finish = refusal(KVM_SEV_LAUNCH_FINISH, 'started');
const status = refusal(KVM_SEV_GUEST_STATUS, 'started');
const unchanged = () => ({});
/** Of a blob that a command points to. */
const blobs = (name: 'dh' | 'session'): Record<string, Refusal> => {
  const at = (uaddr: (w: SevWorld) => bigint, len: number) => (w: SevWorld) => ({
    [`${name}_uaddr`]: uaddr(w),
    [`${name}_len`]: len,
  });
  return {
    [`start-${name}-of-no-length`]: start(
      'EINVAL',
      at(({ memory }) => memory, 0),
    ),
    [`start-${name}-too-long`]: start(
      'EINVAL',
      at(({ memory }) => memory, SEV_FW_BLOB_MAX_SIZE + 1),
    ),
    [`start-${name}-nowhere`]: start(
      'EFAULT',
      at(() => P, SEV_FW_BLOB_MAX_SIZE),
    ),
  };
};

const refusals = defineCase<Refusal>({
  name: 'launch-sev-refuses',
  about:
    'What is wrong with a command of SEV is told by an errno, check by check (__sev_guest_init(), sev_launch_start(), ' +
    'sev_launch_update_data(), sev_launch_measure(), sev_guest_status(), sev_pin_memory()).',
  requires: ({ type = 'sev', mock }) => ({ vmType: type, ...(mock && { mock }) }),
  variants: {
    'init-vmsa-features': init('EINVAL', () => ({ vmsa_features: SVM_SEV_FEAT_DEBUG_SWAP })),
    'init-ghcb-version': init('EINVAL', () => ({ ghcb_version: 1 })),
    'init-again': init('EINVAL', unchanged, { at: 'initialized' }),
    'start-before-init': start('ENOTTY', unchanged, { at: 'made' }),
    'data-before-init': data('ENOTTY', unchanged, { at: 'made' }),
    'vmsa-before-init': vmsa('ENOTTY', unchanged, { at: 'made', type: 'sev-es' }),
    'measure-before-init': measure('ENOTTY', unchanged, { at: 'made' }),
    'finish-before-init': finish('ENOTTY', unchanged, { at: 'made' }),
    'status-before-init': status('ENOTTY', unchanged, { at: 'made' }),
    'start-cut-off': start('EFAULT', unchanged, { place: 'cut-off' }),
    'start-cannot-be-told': start('EFAULT', unchanged, { place: 'read-only', firmware: 0 }),
    'start-without-the-firmware': start('EBADF', unchanged, { fd: NO_FD }),
    ...blobs('dh'),
    ...blobs('session'),
    'start-again': start('EIO', unchanged, { at: 'started', firmware: SEV_RET_ASID_OWNED, mock: true }),
    'data-before-start': data('EBADF', unchanged, { at: 'initialized' }),
    'data-cut-off': data('EFAULT', unchanged, { place: 'cut-off' }),
    'data-of-no-length': data('EINVAL', () => ({ len: 0 })),
    'data-that-wraps': data('EINVAL', () => ({ uaddr: -BigInt(PAGE_SIZE) & 0xffff_ffff_ffff_ffffn })),
    'data-nowhere': data('ENOMEM', () => ({ uaddr: P })),
    'data-partly-nowhere': data('ENOMEM', ({ ends }) => ({ uaddr: ends - P, len: 2 * PAGE_SIZE })),
    'data-of-a-part-of-a-block': data('EIO', () => ({ len: 15 }), { firmware: SEV_RET_INVALID_LEN, mock: true }),
    'data-from-within-a-block': data('EIO', ({ memory }) => ({ uaddr: memory + 8n, len: 16 }), {
      firmware: SEV_RET_INVALID_ADDRESS,
      mock: true,
    }),
    'vmsa-before-start': vmsa('EBADF', unchanged, { at: 'initialized', type: 'sev-es', vcpu: true }),
    'measure-before-start': measure('EBADF', unchanged, { at: 'initialized' }),
    'measure-cut-off': measure('EFAULT', unchanged, { place: 'cut-off' }),
    'measure-too-long': measure('EINVAL', () => ({ len: SEV_FW_BLOB_MAX_SIZE + 1 })),
    'measure-without-room': measure('EIO', () => ({ len: SEV_MEASUREMENT_SIZE - 1 }), {
      firmware: SEV_RET_INVALID_LEN,
    }),
    'measure-without-an-address': measure('EIO', () => ({ uaddr: 0n }), { firmware: SEV_RET_INVALID_LEN }),
    'measure-to-nowhere': measure('EFAULT', () => ({ uaddr: P }), { firmware: 0 }),
    'measure-cannot-be-told': measure('EFAULT', unchanged, { place: 'read-only', firmware: 0 }),
    'finish-before-measure': finish('EIO', unchanged, { firmware: SEV_RET_INVALID_GUEST_STATE }),
    'finish-before-start': finish('EBADF', unchanged, { at: 'initialized' }),
    'status-before-start': status('EBADF', unchanged, { at: 'initialized' }),
    'status-cannot-be-told': status('EFAULT', unchanged, { place: 'read-only', firmware: 0 }),
  },
  async run(t, { type = 'sev', at, values, vcpu, ...refusal }) {
    const w = await SevWorld.create(t, type);
    if (at === 'initialized') await w.done(KVM_SEV_INIT2);
    if (at === 'started') await w.starts();
    if (vcpu) await w.vcpu();
    await w.op.isRefused(w.vm, refusal, values?.(w) ?? {});
  },
});

const readOnlyData = defineCase({
  name: 'launch-sev-data-that-is-read-only',
  about: 'Data is encrypted in its place, so that its memory must be writable: ENOMEM (sev_pin_memory(), FOLL_WRITE).',
  requires: { vmType: 'sev' },
  async run(t) {
    const w = await SevWorld.create(t, 'sev');
    await w.starts();
    const uaddr = await endOfMemory(t, new Uint8Array(PAGE_SIZE));
    const outcome = await w.issue(KVM_SEV_LAUNCH_UPDATE_DATA, { values: { uaddr, len: PAGE_SIZE } });
    t.fails(outcome, 'ENOMEM', 'data that is read-only');
  },
});

export const cases: readonly AnyCase[] = [refusals, readOnlyData];
