/** KVM_SET_MEMORY_ATTRIBUTES on a VM: virt/kvm/kvm_main.c, kvm_vm_ioctl_set_mem_attributes(). */

import { errno } from '../../abi/errno.ts';
import type { IoctlOut } from '../../abi/ioctl.ts';
import { KVM_MEMORY_ATTRIBUTE_PRIVATE, type KVM_SET_MEMORY_ATTRIBUTES } from '../../abi/kvm.ts';
import { isAligned, toPages, wraps } from '../ranges.ts';
import type { Machine } from './machine.ts';
import type { Vm } from './vm.ts';

/** Whether any VM of this kernel could have private memory: the ioctl is compiled in only then. */
export function hasMemoryAttributes({ profile, platform }: Machine): boolean {
  const needsHardware = platform.machineTypes.length > 0;
  return profile.vmAttributes !== 'absent' && (profile.softwareProtectedVms || needsHardware);
}

/** KVM_CAP_MEMORY_ATTRIBUTES: of /dev/kvm without a VM, of a VM with one. */
export function supportedAttributes(machine: Machine, vm: Vm | undefined): bigint {
  if (!hasMemoryAttributes(machine) || machine.profile.vmAttributes === 'refused') return 0n;
  return !vm || vm.hasPrivateMemory ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0n;
}

export function setMemoryAttributes(vm: Vm, args: IoctlOut<typeof KVM_SET_MEMORY_ATTRIBUTES>): number {
  const { address, size, attributes, flags } = args;
  if (flags !== 0n || attributes & ~supportedAttributes(vm.machine, vm)) return -errno.EINVAL;
  if (size === 0n || wraps(address, size)) return -errno.EINVAL;
  if (!isAligned(address) || !isAligned(size)) return -errno.EINVAL;
  const start = toPages(address);
  const end = toPages(address + size);
  if (vm.attributes.isAll(start, end, attributes)) return 0;
  if (vm.machine.faults.failsNow('tree-node')) return -errno.ENOMEM;
  vm.unmap({ start, end });
  vm.attributes.set(start, end, attributes);
  return 0;
}
