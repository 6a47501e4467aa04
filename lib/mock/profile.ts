/**
 * The kernels the mock can be. Everything in which they differ is data here; the code asks the profile, never its name.
 */

import type { CapabilityName } from '../abi/capabilities.ts';

export type ProfileName = 'linux-6.18' | 'linux-7.3' | 'rfc-v2' | 'inplace-v13';

export interface Profile {
  readonly name: ProfileName;
  /** As uname -r would say. */
  readonly release: string;
  /** One line for reports: which kernel, with what applied and configured. */
  readonly summary: string;
  /** CONFIG_KVM_SW_PROTECTED_VM. */
  readonly softwareProtectedVms: boolean;
  /** Which conversion ioctls a guest_memfd answers. */
  readonly conversion: 'rfc-convert' | 'attributes2' | 'none';
  /**
   * What KVM_SET_MEMORY_ATTRIBUTES does with KVM_MEMORY_ATTRIBUTE_PRIVATE: keeps it per VM, refuses it (in-place
   * conversion is on, VM attributes are still compiled in), or does not exist.
   */
  readonly vmAttributes: 'tracked' | 'refused' | 'absent';
  /** What binding one file range to two slots answers. */
  readonly boundTwice: 'EINVAL' | 'EEXIST';
  /** Whether a slot's userspace_addr must be 0 or map the very same file range. */
  readonly checksUserspaceAddr: boolean;
  /** Whether st_blocks of a guest_memfd grows with its pages; released kernels leave it at 0. */
  readonly countsBlocks: boolean;
  /** CONFIG_KVM_GMEM_HUGETLB: a guest_memfd can be made of huge pages. */
  readonly hugePages: boolean;
  /** CONFIG_IOMMUFD with its test driver, and VFIO with groups, containers and cdevs. */
  readonly iommufd: boolean;
  /** KVM_CAP_MULTI_ADDRESS_SPACE: with CONFIG_KVM_SMM two, without it one. */
  readonly addressSpaces: number;
  /** What KVM_CHECK_EXTENSION answers where it does not depend on the VM; what is not listed answers 0. */
  readonly capabilities: Partial<Record<CapabilityName, number>>;
}

const GENERIC: Profile['capabilities'] = {
  KVM_CAP_USER_MEMORY: 1,
  KVM_CAP_NR_MEMSLOTS: 32764,
  KVM_CAP_MP_STATE: 1,
  KVM_CAP_SYNC_MMU: 1,
  KVM_CAP_READONLY_MEM: 1,
  KVM_CAP_CHECK_EXTENSION_VM: 1,
  KVM_CAP_SPLIT_IRQCHIP: 1,
  KVM_CAP_IMMEDIATE_EXIT: 1,
  KVM_CAP_EXIT_HYPERCALL: 1 << 12,
  KVM_CAP_USER_MEMORY2: 1,
  KVM_CAP_DEVICE_CTRL: 1,
  KVM_CAP_MEMORY_FAULT_INFO: 1,
  KVM_CAP_GUEST_MEMFD: 1,
};

export const profiles: Readonly<Record<ProfileName, Profile>> = {
  'linux-6.18': {
    name: 'linux-6.18',
    release: '6.18.44',
    summary: 'Linux 6.18 without CONFIG_KVM_SW_PROTECTED_VM and CONFIG_KVM_SMM',
    softwareProtectedVms: false,
    conversion: 'none',
    vmAttributes: 'tracked',
    boundTwice: 'EINVAL',
    checksUserspaceAddr: false,
    countsBlocks: false,
    hugePages: false,
    iommufd: false,
    addressSpaces: 1,
    capabilities: GENERIC,
  },
  'linux-7.3': {
    name: 'linux-7.3',
    release: '7.3.4',
    summary: 'Linux 7.3 with CONFIG_KVM_SW_PROTECTED_VM',
    softwareProtectedVms: true,
    conversion: 'none',
    vmAttributes: 'tracked',
    boundTwice: 'EEXIST',
    checksUserspaceAddr: false,
    countsBlocks: false,
    hugePages: false,
    iommufd: true,
    addressSpaces: 2,
    capabilities: { ...GENERIC, KVM_CAP_PRE_FAULT_MEMORY: 1 },
  },
  'rfc-v2': {
    name: 'rfc-v2',
    release: '6.15.0-rc6',
    summary: 'Linux 6.15-rc6 with "1G page support for guest_memfd" RFC v2 and CONFIG_KVM_GMEM_HUGETLB',
    softwareProtectedVms: true,
    conversion: 'rfc-convert',
    vmAttributes: 'tracked',
    boundTwice: 'EINVAL',
    checksUserspaceAddr: true,
    countsBlocks: true,
    hugePages: true,
    iommufd: true,
    addressSpaces: 2,
    capabilities: {
      ...GENERIC,
      KVM_CAP_PRE_FAULT_MEMORY: 1,
      KVM_CAP_GMEM_SHARED_MEM: 1,
      KVM_CAP_GMEM_CONVERSION: 1,
    },
  },
  'inplace-v13': {
    name: 'inplace-v13',
    release: '7.3.0',
    summary: 'Linux 7.3 with "guest_memfd: In-place conversion support" v13, CONFIG_KVM_VM_MEMORY_ATTRIBUTES=n',
    softwareProtectedVms: true,
    conversion: 'attributes2',
    vmAttributes: 'absent',
    boundTwice: 'EEXIST',
    checksUserspaceAddr: false,
    countsBlocks: false,
    hugePages: false,
    iommufd: true,
    addressSpaces: 2,
    capabilities: { ...GENERIC, KVM_CAP_PRE_FAULT_MEMORY: 1 },
  },
};

export const profileNames = Object.keys(profiles) as readonly ProfileName[];

/**
 * The same kernel with CONFIG_KVM_VM_MEMORY_ATTRIBUTES=y and kvm.gmem_in_place_conversion as given: on, the VM ioctl
 * stays but refuses the private attribute; off, the kernel is as it was before the series.
 */
export function withInPlaceParameter(profile: Profile, on: boolean): Profile {
  const parameter = `CONFIG_KVM_VM_MEMORY_ATTRIBUTES=y and gmem_in_place_conversion=${on ? 'Y' : 'N'}`;
  return {
    ...profile,
    summary: profile.summary.replace('CONFIG_KVM_VM_MEMORY_ATTRIBUTES=n', parameter),
    conversion: on ? 'attributes2' : 'none',
    vmAttributes: on ? 'refused' : 'tracked',
  };
}

/** The same kernel with CONFIG_KVM_GMEM_HUGETLB=n, where the profile has it. */
export function withoutHugePages(profile: Profile): Profile {
  const summary = profile.summary.replace('and CONFIG_KVM_GMEM_HUGETLB', 'and CONFIG_KVM_GMEM_HUGETLB=n');
  return { ...profile, summary, hugePages: false };
}
