/** The launch of SEV and SEV-ES guests, whose memory is the process's own: arch/x86/kvm/svm/sev.c. */

import { errno } from '../../../abi/errno.ts';
import { KVM_SEV_GUEST_STATUS, KVM_SEV_LAUNCH_START, KVM_SEV_LAUNCH_UPDATE_DATA } from '../../../abi/index.ts';
import { KVM_X86_SEV_ES_VM } from '../../../abi/kvm.ts';
import { SEV_RET_INVALID_GUEST_STATE, SEV_RET_SUCCESS } from '../../../abi/sev-errors.ts';
import { type Call, issue, putBack, struct } from './call.ts';

/** As the firmware numbers them. */
const GSTATE_LUPDATE = 1;
const GSTATE_RUNNING = 3;

export function legacyStart(call: Call): number {
  const { guest } = call;
  if (guest.asid === undefined) return -errno.ENOTTY;
  const values = struct(call, KVM_SEV_LAUNCH_START);
  if (!values) return -errno.EFAULT;
  const refusal = issue(call, () => (guest.legacy ? SEV_RET_INVALID_GUEST_STATE : SEV_RET_SUCCESS));
  if (refusal !== 0) return refusal;
  // The firmware numbers its guests; so do their keys.
  guest.legacy = { handle: guest.asid, policy: values.policy, running: false };
  guest.launchFd = call.fd;
  return putBack(call, KVM_SEV_LAUNCH_START, { ...values, handle: guest.legacy.handle });
}

const whileLaunching =
  ({ guest }: Call) =>
  (): number =>
    guest.legacy && !guest.legacy.running ? SEV_RET_SUCCESS : SEV_RET_INVALID_GUEST_STATE;

/** Encrypts memory of the process in place; the mock leaves it as the guest will see it. */
export function legacyUpdateData(call: Call): number {
  const { guest } = call;
  if (guest.asid === undefined) return -errno.ENOTTY;
  const values = struct(call, KVM_SEV_LAUNCH_UPDATE_DATA);
  if (!values) return -errno.EFAULT;
  if (values.len === 0) return -errno.EINVAL;
  if (!guest.vm.process.read(values.uaddr, values.len)) return -errno.EFAULT;
  return issue(call, whileLaunching(call), guest.launchFd);
}

export function legacyUpdateVmsa(call: Call): number {
  const { guest } = call;
  if (guest.asid === undefined || guest.vm.type !== KVM_X86_SEV_ES_VM) return -errno.ENOTTY;
  if (guest.vm.createdVcpus === 0) return 0;
  const refusal = issue(call, whileLaunching(call), guest.launchFd);
  if (refusal === 0) guest.sealVcpus();
  return refusal;
}

export function legacyFinish(call: Call): number {
  const { guest } = call;
  if (guest.asid === undefined) return -errno.ENOTTY;
  const refusal = issue(call, whileLaunching(call), guest.launchFd);
  if (refusal === 0) guest.legacy!.running = true;
  return refusal;
}

export function legacyStatus(call: Call): number {
  const { guest } = call;
  if (guest.asid === undefined) return -errno.ENOTTY;
  const { legacy } = guest;
  const refusal = issue(call, () => (legacy ? SEV_RET_SUCCESS : SEV_RET_INVALID_GUEST_STATE), guest.launchFd);
  if (refusal !== 0 || !legacy) return refusal;
  const state = legacy.running ? GSTATE_RUNNING : GSTATE_LUPDATE;
  return putBack(call, KVM_SEV_GUEST_STATUS, { handle: legacy.handle, policy: legacy.policy, state });
}
