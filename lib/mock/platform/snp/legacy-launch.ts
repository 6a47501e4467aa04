/** The launch of SEV and SEV-ES guests, whose memory is the process's own: arch/x86/kvm/svm/sev.c. */

import { errno } from '../../../abi/errno.ts';
import {
  KVM_SEV_GUEST_STATUS,
  KVM_SEV_LAUNCH_MEASURE,
  KVM_SEV_LAUNCH_START,
  KVM_SEV_LAUNCH_UPDATE_DATA,
  SEV_FW_BLOB_MAX_SIZE,
} from '../../../abi/index.ts';
import { KVM_X86_SEV_ES_VM } from '../../../abi/kvm.ts';
import { SEV_RET_ASID_OWNED, SEV_RET_SUCCESS } from '../../../abi/sev-errors.ts';
import { type Call, copyBlob, issue, putBack, struct } from './call.ts';
import { LegacyContext } from './firmware.ts';

export function legacyStart(call: Call): number {
  const { guest } = call;
  if (guest.asid === undefined) return -errno.ENOTTY;
  const values = struct(call, KVM_SEV_LAUNCH_START);
  if (!values) return -errno.EFAULT;
  const unreadable =
    optionalBlob(call, values.dh_uaddr, values.dh_len) || optionalBlob(call, values.session_uaddr, values.session_len);
  if (unreadable !== 0) return unreadable;
  // sev_bind_asid(): another guest of the firmware's has this one's key already.
  const refusal = issue(call, () => (guest.legacy ? SEV_RET_ASID_OWNED : SEV_RET_SUCCESS));
  if (refusal !== 0) return refusal;
  // The firmware numbers its guests; so do their keys.
  const handle = guest.asid;
  const untold = putBack(call, KVM_SEV_LAUNCH_START, { ...values, handle });
  if (untold === 0) guest.legacy = new LegacyContext(handle, values.policy, call.fd);
  return untold;
}

const optionalBlob = (call: Call, address: bigint, size: number): number =>
  address === 0n ? 0 : copyBlob(call, address, size);

/** To the guest that a launch has begun. Without one KVM looks for the firmware behind fd 0. */
function issueTo(call: Call, command: (context: LegacyContext) => number): number {
  const { legacy } = call.guest;
  return legacy ? issue(call, () => command(legacy), legacy.fd) : -errno.EBADF;
}

/** Encrypts memory of the process in place; the mock leaves it as the guest will see it. */
export function legacyUpdateData(call: Call): number {
  const { guest } = call;
  if (guest.asid === undefined) return -errno.ENOTTY;
  const values = struct(call, KVM_SEV_LAUNCH_UPDATE_DATA);
  if (!values) return -errno.EFAULT;
  const { uaddr, len } = values;
  const unpin = guest.regions.pin(uaddr, BigInt(len), true);
  if (typeof unpin === 'number') return unpin;
  const refusal = issueTo(call, (context) => context.launchUpdate(uaddr, guest.vm.process.read(uaddr, len)!));
  unpin();
  return refusal;
}

export function legacyUpdateVmsa(call: Call): number {
  const { guest } = call;
  if (guest.asid === undefined || guest.vm.type !== KVM_X86_SEV_ES_VM) return -errno.ENOTTY;
  return guest.sealVcpus(() => issueTo(call, (context) => context.launchUpdateVmsa()));
}

export function legacyMeasure(call: Call): number {
  const { guest } = call;
  if (guest.asid === undefined) return -errno.ENOTTY;
  const values = struct(call, KVM_SEV_LAUNCH_MEASURE);
  if (!values) return -errno.EFAULT;
  const asksForLength = values.len === 0;
  const hasPlace = !asksForLength && values.uaddr !== 0n;
  if (hasPlace && values.len > SEV_FW_BLOB_MAX_SIZE) return -errno.EINVAL;
  const measurement = { bytes: hasPlace ? new Uint8Array(values.len) : undefined, length: values.len };
  const refusal = issueTo(call, (context) => context.launchMeasure(measurement));
  if (refusal !== 0 && !asksForLength) return refusal;
  const isTold = !measurement.bytes || guest.vm.process.write(values.uaddr, measurement.bytes);
  const untold = putBack(call, KVM_SEV_LAUNCH_MEASURE, { ...values, len: measurement.length });
  return untold === 0 && isTold ? refusal : -errno.EFAULT;
}

export function legacyFinish(call: Call): number {
  return call.guest.asid === undefined ? -errno.ENOTTY : issueTo(call, (context) => context.launchFinish());
}

export function legacyStatus(call: Call): number {
  const { guest } = call;
  if (guest.asid === undefined) return -errno.ENOTTY;
  const refusal = issueTo(call, () => SEV_RET_SUCCESS);
  if (refusal !== 0) return refusal;
  const { handle, policy, state } = guest.legacy!;
  return putBack(call, KVM_SEV_GUEST_STATUS, { handle, policy, state });
}
