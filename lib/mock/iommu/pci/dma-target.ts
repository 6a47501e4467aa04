/** What a device's address leads to. */

import type { Folio } from '../../memory.ts';

export interface DmaTarget {
  /** The IOAS or container it is mapped in, for the journal. */
  readonly title: string;
  readonly read: boolean;
  readonly write: boolean;
  /** Where in the page the address lies. */
  readonly within: number;
  /** The page; undefined where nothing is mapped, or -errno. */
  folio(): Folio | number | undefined;
  /** Whether its owner let go of the page, and somebody else may have it. */
  readonly isFreed: boolean;
  /** Whether the page is no longer in the state, shared or private, in which it was mapped. */
  readonly isOthers: boolean;
  /** Whether the guest has accepted the device, and this is its way to what the guest has for itself. */
  readonly isTrusted: boolean;
  /** The device has written there. */
  written(): void;
}

/** The translation of a device: undefined where an address leads nowhere. */
export type Translate = (iova: bigint) => DmaTarget | undefined;
