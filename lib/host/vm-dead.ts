/** Telling a dead VM from an I/O error: both are EIO. */

import { capabilities } from '../abi/capabilities.ts';
import { errno } from '../abi/errno.ts';
import { KVM_CHECK_EXTENSION } from '../abi/kvm.ts';
import type { Syscalls } from '../syscalls/seam.ts';
import { VmDeadError } from './errors.ts';
import type { IoctlOutcome } from './ioctl.ts';

/**
 * The outcome as it is, unless it is EIO and KVM_CHECK_EXTENSION, which cannot fail on a live VM, fails as well:
 * kvm_vm_ioctl() refuses everything once the VM is dead, before it looks at the request.
 */
export async function recogniseDeath<Out>(
  syscalls: Syscalls,
  vm: number,
  outcome: IoctlOutcome<Out>,
): Promise<IoctlOutcome<Out>> {
  if (outcome.ok || outcome.errno !== -errno.EIO) return outcome;
  const alive = await syscalls.ioctl(vm, KVM_CHECK_EXTENSION.request, capabilities.KVM_CAP_USER_MEMORY.number);
  return alive >= 0 ? outcome : { ...outcome, error: new VmDeadError(outcome.error) };
}
