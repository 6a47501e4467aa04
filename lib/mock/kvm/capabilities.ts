/** KVM_CHECK_EXTENSION: on /dev/kvm for the kernel as a whole, on a VM fd for that VM. */

import { type CapabilityName, capabilityNames } from '../../abi/capabilities.ts';
import { KVM_MEMORY_ATTRIBUTE_PRIVATE } from '../../abi/kvm.ts';
import { hasProtectedState, machineTypes } from '../platform/index.ts';
import { supportedFlags } from './create-guest-memfd.ts';
import type { Machine } from './machine.ts';
import { supportedAttributes } from './memory-attributes.ts';
import type { Vm } from './vm.ts';

type Answer = (machine: Machine, vm: Vm | undefined) => number;

/** Capabilities whose answer depends on the VM or the configuration. */
const COMPUTED: Partial<Record<CapabilityName, Answer>> = {
  KVM_CAP_VM_TYPES: ({ platform, profile }) => machineTypes(platform.machineTypes, profile.softwareProtectedVms),
  KVM_CAP_MEMORY_ATTRIBUTES: (machine, vm) => Number(supportedAttributes(machine, vm)),
  KVM_CAP_READONLY_MEM: (_machine, vm) => (vm && hasProtectedState(vm.type) ? 0 : 1),
  KVM_CAP_MULTI_ADDRESS_SPACE: ({ profile }, vm) => {
    if (profile.addressSpaces === 1) return 0;
    return vm?.hasPrivateMemory ? 1 : profile.addressSpaces;
  },
  KVM_CAP_GMEM_HUGETLB: ({ profile }) => Number(profile.hugePages),
  // Not in the 6.15 that the RFC is based on.
  KVM_CAP_GUEST_MEMFD_FLAGS: ({ profile }, vm) =>
    profile.conversion === 'rfc-convert' ? 0 : Number(supportedFlags(profile, vm)),
  KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES: ({ profile }, vm) =>
    profile.conversion === 'attributes2' && (!vm || vm.hasPrivateMemory) ? Number(KVM_MEMORY_ATTRIBUTE_PRIVATE) : 0,
};

export function checkExtension(machine: Machine, vm: Vm | undefined, number: bigint): number {
  for (const name of capabilityNames(Number(number))) {
    const answer = COMPUTED[name]?.(machine, vm) ?? machine.profile.capabilities[name] ?? 0;
    if (answer !== 0) return answer;
  }
  return 0;
}
