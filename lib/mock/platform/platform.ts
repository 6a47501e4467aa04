/**
 * What differs by architecture: which VMs there are, what the hardware does to a page that a guest owns, and what comes
 * of somebody else touching it. KVM's part of the mock asks, and so does the IOMMU's; guest_memfd's core never does.
 */

import type { Folio } from '../memory.ts';
import type { GuestHardware, HostVm } from './guest-hardware.ts';

export type PlatformName = 'software-protected' | 'sev-snp' | 'tdx';

/** Somebody other than the guest that owns a page reaches for it. */
export interface OutsideAccess {
  /** A CPU of the host, or a device through an I/O translation. */
  readonly by: 'host' | 'device';
  readonly write: boolean;
}

/** What the hardware makes of it. */
export type Reach =
  /** Ordinary memory: what is there is read or written. */
  | { readonly outcome: 'reached' }
  /** Another's memory, encrypted: a read gets noise (`seenOutside()`), and nothing else happens. */
  | { readonly outcome: 'ciphertext' }
  /** Refused, with a fault for whoever tried; nobody else suffers. */
  | { readonly outcome: 'blocked'; readonly fault: string }
  /** The host dies of it. */
  | { readonly outcome: 'machine-check'; readonly cause: string };

/** What the hardware knows of a page that a guest has. */
export interface PageOwner {
  /** Of the entry that the page belongs to: RMP or secure EPT. */
  readonly size: '4K' | '2M';
  /** Whether the guest has taken the page over: validated (SNP), accepted (TDX), or launched with it. */
  readonly accepted: boolean;
}

export interface Platform {
  readonly name: PlatformName;
  /** Machine types beyond KVM_X86_DEFAULT_VM and KVM_X86_SW_PROTECTED_VM, which need no hardware. */
  readonly machineTypes: readonly number[];
  /** Whether private and shared stage-2 mappings lie in tables of their own, so that an unmap can choose one kind. */
  readonly separateTables: boolean;
  /**
   * Whether an IOMMU may go on translating to pages that change hands, because the hardware checks each access by
   * itself: then a conversion need not unmap them.
   */
  readonly keepsTranslations: boolean;
  /** What the host died of, once it has. */
  machineCheck: string | undefined;
  /** What the hardware does for a new VM. */
  createGuest(vm: HostVm): GuestHardware;
  /** How the hardware has given a guest the page: by an entry of 4 KiB or 2 MiB; undefined where it is the host's. */
  owner(folio: Folio): PageOwner | undefined;
  /**
   * Pages of a guest_memfd become shared, this many from one on: kvm_arch_gmem_make_shared(), of SNP. false where there
   * was nothing to do.
   */
  makeShared?(pfn: number, pages: number): boolean;
  /** What happens when host or device reach for a page now. Asking changes nothing. */
  reach(folio: Folio, access: OutsideAccess): Reach;
  /** Whether a guest has the page as private memory: what a device that it has accepted reaches. */
  holds(folio: Folio): boolean;
  /** The page's bytes as host and devices see them. */
  seenOutside(folio: Folio): Uint8Array;
  /** Pages go back to the host, this many from one on: kvm_gmem_free_folio(). */
  freed(pfn: number, pages: number): void;
  /** Pages that the hardware holds for guests; 0 once all guests are gone. */
  readonly ownedPages: number;
  /** A path that opens a file of the hardware's driver. */
  readonly driverPath?: string;
  /** KVM_GET_DEVICE_ATTR on /dev/kvm in the vendor's group: the value, or undefined where there is no such attribute. */
  attribute?(attribute: bigint): bigint | undefined;
}
