/**
 * What differs by architecture: which VMs there are, what the hardware does to a page that a guest owns, and what comes
 * of somebody else touching it. KVM's part of the mock asks, and so does the IOMMU's; guest_memfd's core never does.
 */

import type { Folio } from '../memory.ts';

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
  /** A page is handed to a confidential guest as private memory. */
  makePrivate(folio: Folio): void;
  /** A private page leaves a confidential guest's tables. */
  unmapPrivate(folio: Folio): void;
  /** A page that a confidential guest has had as private memory becomes shared: kvm_arch_gmem_make_shared(), of SNP. */
  makeShared?(folio: Folio): void;
  /** What happens when host or device reach for a page now. Asking changes nothing. */
  reach(folio: Folio, access: OutsideAccess): Reach;
  /** Whether a guest has the page as private memory: what a device that it has accepted reaches. */
  holds(folio: Folio): boolean;
  /** The page's bytes as host and devices see them. */
  seenOutside(folio: Folio): Uint8Array;
  /** The page goes back to the host. */
  freed(folio: Folio): void;
}
