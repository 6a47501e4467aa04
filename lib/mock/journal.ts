/**
 * What happened inside the calls, step by step and in order. Tests assert the sequences of the mail thread on it.
 * Ranges are in pages: of the file for steps on a guest_memfd, of guest-physical memory (`gfn`) for stage-2 steps, of
 * I/O addresses for the IOMMU's.
 */

import type { PageRange } from './ranges.ts';

export type Step =
  | 'invalidate-begin'
  | 'unmap-stage2'
  | 'unmap-host'
  | 'check-references'
  | 'set-shareability'
  | 'split-folio'
  | 'merge-folio'
  | 'invalidate-end'
  | 'truncate'
  | 'allocate'
  | 'zero'
  | 'make-shared'
  | 'iommu-map'
  | 'iommu-unmap'
  | 'iommu-split'
  | 'iommu-stale'
  | 'iommu-keep'
  | 'iommu-held-off'
  | 'dma'
  | 'dma-fault'
  | 'hazard';

/** Why a client is told to let go of a range. */
export type Reason = 'convert-to-shared' | 'convert-to-private' | 'truncate' | 'release' | 'memory-error';

export interface JournalEntry extends PageRange {
  readonly step: Step;
  /** The guest_memfd's inode number, or the VM and memslot ("vm 1 slot 0"), that the step works on. */
  readonly target: string;
  readonly reason?: Reason;
  /** What more there is to say: the state stored, the outcome of a check, the filter of an unmap. */
  readonly detail?: string;
}

/** How many entries are kept: a long benchmark must not fill the heap. The oldest go first. */
const LIMIT = 10_000;

export class Journal {
  #entries: JournalEntry[] = [];
  #listeners = new Set<(entry: JournalEntry) => void>();

  get entries(): readonly JournalEntry[] {
    return this.#entries;
  }

  clear(): void {
    this.#entries = [];
  }

  /** Calls back at every step, in the middle of the call: the way to act between two steps. Answers how to stop. */
  listen(listener: (entry: JournalEntry) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** For the mock: what it just did. Fields one by one, since every step of every conversion comes through here. */
  record(step: Step, target: string, start: number, end: number, reason?: Reason, detail?: string): void {
    const entry: { -readonly [K in keyof JournalEntry]: JournalEntry[K] } = { step, target, start, end };
    if (reason !== undefined) entry.reason = reason;
    if (detail !== undefined) entry.detail = detail;
    if (this.#entries.length >= LIMIT) this.#entries.splice(0, LIMIT / 2);
    this.#entries.push(entry);
    for (const listener of this.#listeners) listener(entry);
  }
}
