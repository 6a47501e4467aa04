/**
 * KVM_CHECK_EXTENSION numbers. Unreleased series took numbers that later went to others, so several names share one;
 * a number alone never decides what a kernel can do.
 * Source: include/uapi/linux/kvm.h of Linux 7.3.4, and the posted series where `series` names one.
 */

export interface Capability {
  readonly number: number;
  /** The unreleased series that uses this number for it. */
  readonly series?: string;
  /** The architecture for which a released kernel has it, where it is not generic or x86. */
  readonly arch?: 'arm64' | 'riscv' | 'powerpc';
}

const RFC_CONVERT = '1G page support for guest_memfd, RFC v2';
const IN_PLACE = 'guest_memfd: In-place conversion support, v13';

export const capabilities = {
  KVM_CAP_USER_MEMORY: { number: 3 },
  KVM_CAP_NR_MEMSLOTS: { number: 10 },
  KVM_CAP_MP_STATE: { number: 14 },
  KVM_CAP_SYNC_MMU: { number: 16 },
  KVM_CAP_READONLY_MEM: { number: 81 },
  KVM_CAP_DEVICE_CTRL: { number: 89 },
  KVM_CAP_CHECK_EXTENSION_VM: { number: 105 },
  KVM_CAP_MULTI_ADDRESS_SPACE: { number: 118 },
  KVM_CAP_SPLIT_IRQCHIP: { number: 121 },
  KVM_CAP_IMMEDIATE_EXIT: { number: 136 },
  KVM_CAP_EXIT_HYPERCALL: { number: 201 },
  KVM_CAP_USER_MEMORY2: { number: 231 },
  KVM_CAP_MEMORY_FAULT_INFO: { number: 232 },
  KVM_CAP_MEMORY_ATTRIBUTES: { number: 233 },
  KVM_CAP_GUEST_MEMFD: { number: 234 },
  KVM_CAP_VM_TYPES: { number: 235 },
  KVM_CAP_PRE_FAULT_MEMORY: { number: 236 },
  KVM_CAP_GMEM_SHARED_MEM: { number: 240, series: RFC_CONVERT },
  KVM_CAP_ARM_EL2: { number: 240, arch: 'arm64' },
  KVM_CAP_GMEM_CONVERSION: { number: 241, series: RFC_CONVERT },
  KVM_CAP_ARM_EL2_E2H0: { number: 241, arch: 'arm64' },
  KVM_CAP_GMEM_HUGETLB: { number: 242, series: RFC_CONVERT },
  KVM_CAP_RISCV_MP_STATE_RESET: { number: 242, arch: 'riscv' },
  KVM_CAP_GUEST_MEMFD_FLAGS: { number: 244 },
  KVM_CAP_ARM_SEA_TO_USER: { number: 245, arch: 'arm64' },
  KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES: { number: 252, series: IN_PLACE },
} as const satisfies Record<string, Capability>;

export type CapabilityName = keyof typeof capabilities;

/** Every name a capability number goes by. */
export function capabilityNames(number: number): CapabilityName[] {
  return (Object.keys(capabilities) as CapabilityName[]).filter((name) => capabilities[name].number === number);
}
