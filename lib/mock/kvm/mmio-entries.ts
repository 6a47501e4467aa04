/**
 * Guest pages that the second-level page table has as no memory: what KVM found out about a page holds until a memslot
 * changes, and what is stale stays until a translation takes its place. Conversions leave these entries alone.
 * Source: arch/x86/kvm/mmu/mmu.c of Linux 7.3, kvm_mmu_page_fault() and handle_mmio_page_fault().
 */

import type { PageRange } from '../ranges.ts';

export class MmioEntries {
  /** By guest page, the memslots' generation when it was made. */
  readonly #made = new Map<number, number>();

  add(gfn: number, generation: number): void {
    this.#made.set(gfn, generation);
  }

  find(gfn: number, generation: number): 'current' | 'stale' | undefined {
    const made = this.#made.get(gfn);
    if (made === undefined) return undefined;
    return made === generation ? 'current' : 'stale';
  }

  delete({ start, end }: PageRange): void {
    for (const gfn of this.#made.keys()) if (gfn >= start && gfn < end) this.#made.delete(gfn);
  }
}
