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
  SEV_RET_INVALID_GUEST_STATE,
  SEV_RET_INVALID_LEN,
} from '../../abi/index.ts';
import { NO_FD } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { MEASUREMENT, SEV_TYPES, type Sev, SevWorld } from '../sev-world.ts';

const P = BigInt(PAGE_SIZE);
const UNTOUCHED = 0x5555;

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
    t.equal(await w.measured(), MEASUREMENT, 'the length');
    await w.done(KVM_SEV_LAUNCH_MEASURE, { uaddr: w.memory, len: 4 * PAGE_SIZE });
    t.equal(await w.measured(), MEASUREMENT, 'bytes of the measurement');
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
  about: 'The measurement is of the data that was added: other data, another measurement (SEV API, LAUNCH_MEASURE).',
  requires: { vmType: 'sev' },
  async run(t) {
    const measurements: string[] = [];
    for (const byte of [1, 2]) {
      const w = await SevWorld.create(t, 'sev');
      await t.host.raw.syscalls.copyIn(w.memory, new Uint8Array(PAGE_SIZE).fill(byte));
      await w.starts();
      await w.done(KVM_SEV_LAUNCH_UPDATE_DATA, { uaddr: w.memory, len: PAGE_SIZE });
      await w.done(KVM_SEV_LAUNCH_MEASURE, { uaddr: w.memory + P, len: MEASUREMENT });
      const bytes = new Uint8Array(MEASUREMENT);
      await t.host.raw.syscalls.copyOut(w.memory + P, bytes);
      measurements.push(bytes.toString());
    }
    t.notEqual(measurements[0], measurements[1], 'the second measurement');
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
    if (closes) await w.closeFirmware();
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

export const cases: readonly AnyCase[] = [launched, contents, registers, untold, itsFd, unsealed];
