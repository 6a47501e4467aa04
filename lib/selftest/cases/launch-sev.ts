/** Guests of SEV and SEV-ES, whose memory is the process's: their launch, and what it makes of their vCPUs. */

import {
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
  SEV_RET_INVALID_GUEST_STATE,
  SEV_RET_INVALID_LEN,
  SEV_RET_UNSUPPORTED,
} from '../../abi/index.ts';
import { NO_FD } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { UNTOUCHED } from '../encrypt-op.ts';
import { policyOf, SEV_TYPES, type Sev, SevWorld } from '../sev-world.ts';

const _P = BigInt(PAGE_SIZE);
const launched = defineCase<Sev>({
  name: 'launch-sev',
  about:
    'Init, start, data, vCPUs (SEV-ES), measurement, finish: the guest’s status tells how far it is, and what comes too ' +
    'late is EIO with INVALID_GUEST_STATE (sev_launch_start() and the following).',
  requires: (vmType) => ({ vmType }),
  variants: SEV_TYPES,
  async run(t, type) {
    const w = await SevWorld.create(t, type);
    await w.starts();
    t.ok((await w.handle()) !== 0, 'start tells the firmware’s number of the guest');
    await w.isAt('launching', 'after start');
    const data = { uaddr: w.memory, len: 2 * PAGE_SIZE };
    await w.done(KVM_SEV_LAUNCH_UPDATE_DATA, data);
    if (type === 'sev-es') await w.done(KVM_SEV_LAUNCH_UPDATE_VMSA);
    else t.fails(await w.issue(KVM_SEV_LAUNCH_UPDATE_VMSA), 'ENOTTY', 'vCPUs of a guest of SEV');
    const query = t.fails(await w.issue(KVM_SEV_LAUNCH_MEASURE), 'EIO', 'asking for the length of the measurement');
    t.equal(query.out.error, SEV_RET_INVALID_LEN, 'what the firmware says');
    t.equal(await w.measured(), SEV_MEASUREMENT_SIZE, 'the length');
    await w.done(KVM_SEV_LAUNCH_MEASURE, { uaddr: w.memory, len: SEV_FW_BLOB_MAX_SIZE });
    t.equal(await w.measured(), SEV_FW_BLOB_MAX_SIZE, 'the length after it, which is as it was');
    await w.isAt('measured', 'after the measurement');
    const late = t.fails(await w.issue(KVM_SEV_LAUNCH_UPDATE_DATA, { values: data }), 'EIO', 'data after that');
    t.equal(late.out.error, SEV_RET_INVALID_GUEST_STATE, 'what the firmware says');
    await w.done(KVM_SEV_LAUNCH_FINISH);
    await w.isAt('running', 'after finish');
    const again = t.fails(await w.issue(KVM_SEV_LAUNCH_FINISH), 'EIO', 'finish again');
    t.equal(again.out.error, SEV_RET_INVALID_GUEST_STATE, 'what the firmware says');
  },
});

const contents = defineCase({
  name: 'launch-sev-measures-contents',
  about:
    'The measurement is of the data that was added, in its order: the same for the same (SEV API, LAUNCH_MEASURE; a real ' +
    'one has a nonce besides).',
  requires: { vmType: 'sev', mock: true },
  async run(t) {
    const measurements: string[] = [];
    for (const byte of [1, 1, 2]) {
      const w = await SevWorld.create(t, 'sev');
      await t.host.raw.syscalls.copyIn(w.memory, new Uint8Array(PAGE_SIZE).fill(byte));
      await w.starts();
      await w.done(KVM_SEV_LAUNCH_UPDATE_DATA, { uaddr: w.memory, len: PAGE_SIZE });
      await w.measures();
      const bytes = new Uint8Array(SEV_MEASUREMENT_SIZE);
      await t.host.raw.syscalls.copyOut(w.memory, bytes);
      measurements.push(bytes.toString());
    }
    t.equal(measurements[1], measurements[0], 'the measurement of the same data');
    t.notEqual(measurements[2], measurements[0], 'the measurement of other data');
  },
});

const queries = defineCase<{
  readonly at: 'initialized' | 'measured';
  readonly code: ErrnoName;
  readonly firmware: number;
}>({
  name: 'launch-sev-measurement-that-is-not-to-be-had',
  about:
    'Only the firmware tells how long a measurement is: where it is not asked, or refuses, the length is 0 (sev_launch_measure()).',
  requires: { vmType: 'sev' },
  variants: {
    'before-start': { at: 'initialized', code: 'EBADF', firmware: UNTOUCHED },
    'a-second-time': { at: 'measured', code: 'EIO', firmware: SEV_RET_INVALID_GUEST_STATE },
  },
  async run(t, { at, code, firmware }) {
    const w = await SevWorld.create(t, 'sev');
    if (at === 'initialized') await w.done(KVM_SEV_INIT2);
    else {
      await w.starts();
      await w.measures();
    }
    await w.op.isRefused(w.vm, { command: KVM_SEV_LAUNCH_MEASURE, code, firmware }, {});
    t.equal(await w.measured(), 0, 'the length that is told');
  },
});

const sealedTwice = defineCase({
  name: 'launch-sev-es-seals-once',
  about: 'A vCPU is sealed once: EINVAL, without a word to the firmware (sev_es_sync_vmsa()).',
  requires: { vmType: 'sev-es' },
  async run(t) {
    const w = await SevWorld.create(t, 'sev-es');
    await w.starts();
    await w.vcpu();
    await w.done(KVM_SEV_LAUNCH_UPDATE_VMSA);
    await w.op.isRefused(w.vm, { command: KVM_SEV_LAUNCH_UPDATE_VMSA, code: 'EINVAL' }, {});
  },
});

const withoutEs = defineCase({
  name: 'launch-sev-es-under-a-policy-without-it',
  about:
    'vCPUs are sealed for guests whose policy says SEV-ES: EIO and UNSUPPORTED (the firmware’s LAUNCH_UPDATE_VMSA).',
  requires: { vmType: 'sev-es', mock: true },
  async run(t) {
    const w = await SevWorld.create(t, 'sev-es');
    await w.done(KVM_SEV_INIT2);
    await w.done(KVM_SEV_LAUNCH_START, { policy: policyOf('sev') });
    await w.vcpu();
    const refusal = { command: KVM_SEV_LAUNCH_UPDATE_VMSA, code: 'EIO', firmware: SEV_RET_UNSUPPORTED } as const;
    await w.op.isRefused(w.vm, refusal, {});
  },
});

const registers = defineCase<Sev>({
  name: 'launch-sev-vcpus',
  about:
    'A guest of SEV-ES seals the registers of its vCPUs, and runs with those alone; one of SEV has them open ' +
    '(sev_launch_update_vmsa(), guest_state_protected).',
  requires: (vmType) => ({ vmType, mock: true }),
  variants: SEV_TYPES,
  async run(t, type) {
    const w = await SevWorld.create(t, type);
    await w.starts();
    const vcpu = await w.vm.createVcpu();
    t.defer(() => vcpu.close());
    await vcpu.regs();
    t.equal((await vcpu.run()).reason, 'fail-entry', 'running it before the launch is finished');
    if (type === 'sev-es') await w.done(KVM_SEV_LAUNCH_UPDATE_VMSA);
    await w.measures();
    await w.done(KVM_SEV_LAUNCH_FINISH);
    if (type === 'sev-es') await t.throws(() => vcpu.regs(), 'EINVAL', 'reading sealed registers');
    else await vcpu.regs();
    const late = await w.vm.createVcpu({ id: 1 });
    t.defer(() => late.close());
    const { reason } = await late.run();
    t.equal(reason === 'fail-entry', type === 'sev-es', 'whether a vCPU that was made later is refused');
  },
});

const untold = defineCase({
  name: 'launch-sev-start-that-cannot-be-told',
  about: 'A start whose handle cannot be written is taken back: the guest can be started again (sev_launch_start()).',
  requires: { vmType: 'sev' },
  async run(t) {
    const w = await SevWorld.create(t, 'sev');
    await w.done(KVM_SEV_INIT2);
    t.fails(await w.issue(KVM_SEV_LAUNCH_START, { place: 'read-only' }), 'EFAULT', 'start');
    t.fails(await w.issue(KVM_SEV_GUEST_STATUS), 'EBADF', 'the guest’s status');
    await w.done(KVM_SEV_LAUNCH_START);
  },
});

const itsFd = defineCase<{ readonly closes: boolean; readonly code?: ErrnoName }>({
  name: 'launch-sev-goes-by-the-fd-of-start',
  about: 'KVM keeps the number of the fd that a launch was begun with: EBADF where it was closed (sev_issue_cmd()).',
  requires: { vmType: 'sev' },
  variants: { open: { closes: false }, closed: { closes: true, code: 'EBADF' } },
  async run(t, { closes, code }) {
    const w = await SevWorld.create(t, 'sev');
    await w.starts();
    await w.measures();
    if (closes) await w.op.closeSevFd();
    const outcome = await w.issue(KVM_SEV_LAUNCH_FINISH, { fd: NO_FD });
    if (code) t.fails(outcome, code, 'finishing');
    else t.succeeds(outcome, 'finishing without an fd');
  },
});

const unsealed = defineCase({
  name: 'launch-sev-es-without-vcpus',
  about: 'Without vCPUs there is nothing to seal, and the firmware is not asked (sev_launch_update_vmsa()).',
  requires: { vmType: 'sev-es' },
  async run(t) {
    const w = await SevWorld.create(t, 'sev-es');
    await w.done(KVM_SEV_INIT2);
    const outcome = await w.issue(KVM_SEV_LAUNCH_UPDATE_VMSA, { error: UNTOUCHED });
    t.equal(t.succeeds(outcome, 'sealing no vCPU before the launch').ret, 0, 'what it returns');
    t.equal(outcome.out.error, UNTOUCHED, 'what is in its error');
  },
});

export const cases: readonly AnyCase[] = [
  launched,
  contents,
  queries,
  registers,
  sealedTwice,
  withoutEs,
  untold,
  itsFd,
  unsealed,
];
