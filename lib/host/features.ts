/** What a host can do, as found by asking it once, when it was opened. */

import type { CapabilityName } from '../abi/capabilities.ts';
import type { HugePageSize } from '../abi/huge-pages.ts';
import type { Dialect } from '../abi/ioctl.ts';
import type { ProbeAnswer } from './errors.ts';
import type { VmType } from './vm-types.ts';

/** The guest_memfd creation flags that a VM type takes. */
export interface CreateFlags {
  /** The kernel's names, as in `GUEST_MEMFD_FLAG_MMAP`; which ones exist depends on the dialect. */
  readonly names: readonly string[];
  /** The same flags as bits. */
  readonly bits: bigint;
  /** `mmap: true` works. */
  readonly mmap: boolean;
  /** `mmap: true, initially: 'shared'` works. */
  readonly initShared: boolean;
  /** `mmap: true, initially: 'private'` works: mapped now, accessible after a conversion. */
  readonly initPrivate: boolean;
  /** What `hugePageSize` may be, whether or not the pools have pages. */
  readonly hugePageSizes: readonly HugePageSize[];
}

/** Whether something is there, and how that was found out. */
export interface Availability {
  readonly available: boolean;
  readonly why: string;
}

/** What there is of iommufd and VFIO. */
export interface IommuFeatures {
  /** /dev/iommu. */
  readonly iommufd: Availability;
  /** Its test driver: mock domains (CONFIG_IOMMUFD_TEST). */
  readonly iommufdTest: Availability;
  /** /dev/vfio/vfio. */
  readonly vfioContainer: Availability;
  /** The driver that lends PCI devices to VFIO. */
  readonly vfioPci: Availability;
  /** The devices that it has. */
  readonly vfioDevices: readonly { readonly address: string; readonly vendor: number; readonly device: number }[];
  /** KVM's own VFIO device (KVM_DEV_TYPE_VFIO). */
  readonly kvmVfio: Availability;
  /** How many IOMMU groups there are; 0 without an IOMMU. */
  readonly iommuGroups: number;
}

export interface Features extends IommuFeatures {
  /** KVM_GET_API_VERSION; 12 since 2007. */
  readonly apiVersion: number;
  /** The kernel's release, as uname -r says. */
  readonly release: string;
  /** Which conversion ABI the kernel speaks. */
  readonly dialect: Dialect;
  /** Why: what the probe answered, or who forced it. */
  readonly dialectReason: string;
  /** What the probe asked, in order, with the answers. */
  readonly dialectProbes: readonly ProbeAnswer[];
  /**
   * What KVM_CHECK_EXTENSION on /dev/kvm answered. Unreleased series and other architectures share numbers, so a
   * number that is not 0 proves nothing by itself; see `capabilityNames()`.
   */
  readonly capabilities: Readonly<Record<CapabilityName, number>>;
  /** The VM types that KVM_CAP_VM_TYPES announces; 'default' only where it announces none (other architectures). */
  readonly vmTypes: readonly VmType[];
  /** The types of which a throw-away VM and guest_memfd could be made, and the flags they take. */
  readonly createFlags: Readonly<Partial<Record<VmType, CreateFlags>>>;
  /** The VM types for which a trial conversion to private succeeded. */
  readonly convertible: readonly VmType[];
  /** Whether KVM_CREATE_GUEST_MEMFD works for some VM type. */
  readonly guestMemfd: boolean;
  /** Whether some VM type has it; see `createFlags` for each. */
  readonly mmap: boolean;
  readonly initShared: boolean;
  readonly initPrivate: boolean;
  readonly hugePageSizes: readonly HugePageSize[];
  /** KVM_SET_USER_MEMORY_REGION2, which a guest_memfd needs. */
  readonly userMemory2: boolean;
  readonly maxMemslots: number;
  /** Whether guest code runs, and why or why not; on a real kernel known once `host.guestSupport()` has tried. */
  readonly guest: Availability;
}
