/** What a case needs of a host, as data: a skip can then name the missing thing. */

import type { CapabilityName, Dialect, HugePageSize } from '../abi/index.ts';
import type { VmType } from '../kvm/index.ts';
import type { IommuPolicy } from '../mock/index.ts';

/** What a host must offer for a case to run there. `unmet()` compares it with a host. */
export interface Requires {
  /** Conversion ABIs; one of them. */
  readonly dialect?: readonly Dialect[];
  /** A machine type; 'private' stands for whichever type with private memory the host has. */
  readonly vmType?: VmType | 'private';
  /** Ways to create a guest_memfd, on a VM of `vmType`. */
  readonly flags?: readonly CreateFlag[];
  /** Files of huge pages of this size, on a VM of `vmType`. */
  readonly hugePageSize?: HugePageSize;
  /** A guest that can touch memory. */
  readonly guest?: true;
  /** Page references that a test can take and drop, as a device's DMA pin would. */
  readonly pins?: true;
  /** A second process that inherits the mappings. */
  readonly fork?: true;
  /** Allocation failures and interruptions on demand: the mock. */
  readonly faults?: true;
  /** A record of the steps inside a call: the mock's, or that of a kernel that can be traced. */
  readonly steps?: true;
  /** Allocations that fail by their number: the mock, or a kernel with fault injection. */
  readonly failNth?: true;
  /** A record that has allocations and zeroing too: the mock. */
  readonly journal?: true;
  /** A real kernel: for what the mock cannot be asked, because it is compared with it. */
  readonly real?: true;
  /** Something else that only the mock shows or does (`t.mock`): page counts, references of a moment, a killed VM. */
  readonly mock?: true;
  /** Threads that make calls of their own, or the mock, which takes turns. */
  readonly threads?: true;
  /** A capability that /dev/kvm must answer with something other than 0. */
  readonly capability?: CapabilityName;
  /** /dev/iommu. */
  readonly iommufd?: true;
  /** Mock devices and domains on it (CONFIG_IOMMUFD_TEST). */
  readonly iommufdTest?: true;
  /** How the IOMMU has a guest_memfd's pages. A mock is opened anew for it; a real kernel pins them, and no more. */
  readonly iommuPolicy?: IommuPolicy;
  /** /dev/vfio/vfio. */
  readonly vfioContainer?: true;
  /** A device that vfio-pci has; 'edu': one that can be told to start transfers. Tests do with it what they like. */
  readonly vfioDevice?: 'any' | 'edu';
  /** KVM's VFIO device (KVM_DEV_TYPE_VFIO). */
  readonly kvmVfio?: true;
  /** Kernel releases; for behaviour that changed without a flag to tell. */
  readonly kernel?: { readonly since?: `${number}.${number}`; readonly before?: `${number}.${number}` };
  /** Mocked kernels; for behaviour that only an unreleased series has. Real kernels always qualify. */
  readonly profile?: readonly string[];
}

export type CreateFlag = 'mmap' | 'init-shared' | 'init-private';
