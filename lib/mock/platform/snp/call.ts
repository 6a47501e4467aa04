/** One command on its way through KVM: its data, and what the firmware says to it. */

import type { StructCommand } from '../../../abi/command.ts';
import { errno } from '../../../abi/errno.ts';
import { SEV_FW_BLOB_MAX_SIZE } from '../../../abi/sev.ts';
import { SEV_RET_SUCCESS } from '../../../abi/sev-errors.ts';
import type { Fields, StructIn, StructOut } from '../../../abi/struct.ts';
import type { SevGuest } from './sev-guest.ts';

export interface Call {
  readonly guest: SevGuest;
  /** Where the command's struct is. */
  readonly data: bigint;
  /** An fd of /dev/sev, or not. */
  readonly fd: number;
  /** kvm_sev_cmd.error, which goes back with the answer. */
  error: number;
}

/** 0, or -errno. */
export type Answer = (call: Call) => number;

/** The command's struct; undefined for EFAULT. */
export function struct<F extends Fields>({ guest, data }: Call, command: StructCommand<F>): StructOut<F> | undefined {
  const bytes = guest.vm.process.read(data, command.struct.size);
  return bytes && command.struct.decode(bytes);
}

/** Puts the struct back: 0 or -EFAULT. */
export function putBack<F extends Fields>(
  { guest, data }: Call,
  command: StructCommand<F>,
  values: StructIn<F>,
): number {
  return guest.vm.process.write(data, command.struct.encode(values)) ? 0 : -errno.EFAULT;
}

/** sev_issue_cmd_external_user(): the fd must be the driver's. What the firmware refuses is EIO. */
export function issue(call: Call, command: () => number, fd = call.fd): number {
  if (!call.guest.vm.isDriverFile(fd)) return -errno.EBADF;
  const code = command();
  call.error = code;
  return code === SEV_RET_SUCCESS ? 0 : -errno.EIO;
}

/** psp_copy_user_blob(): 0, or -errno. What is in it, the mock's firmware does not look at. */
export function copyBlob({ guest }: Call, address: bigint, size: number): number {
  if (address === 0n || size === 0 || size > SEV_FW_BLOB_MAX_SIZE) return -errno.EINVAL;
  return guest.vm.process.read(address, size) ? 0 : -errno.EFAULT;
}
