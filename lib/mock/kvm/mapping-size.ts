/** How much one entry of a second-level page table may cover: arch/x86/kvm/mmu/mmu.c, kvm_mmu_max_mapping_level(). */

import { type PageRange, toPages } from '../ranges.ts';
import { gfnRange, type Memslot } from './memslots.ts';
import { LARGE } from './stage2.ts';

/**
 * The guest pages that are mapped together with `gfn`, given what its folio covers in the file and how many pages the
 * hardware maps at once.
 */
export function mappedTogether(slot: Memslot, gfn: number, folio: PageRange, most: number): PageRange {
  for (const pages of LARGE) {
    const start = gfn - (gfn % pages);
    const gfns = { start, end: start + pages };
    if (pages <= most && folio.end - folio.start >= pages && isAllowed(slot, gfns, pages)) return gfns;
  }
  return { start: gfn, end: gfn + 1 };
}

/** kvm_alloc_memslot_metadata(): not over the ends of a slot, nor where guest and file are out of step (patch 31). */
function isAllowed(slot: Memslot, gfns: PageRange, pages: number): boolean {
  const { start, end } = gfnRange(slot);
  if (gfns.start < start || gfns.end > end) return false;
  const inStep = (page: number): boolean => (slot.baseGfn - page) % pages === 0;
  return inStep(toPages(slot.userspaceAddr)) && (!slot.gmem || inStep(slot.gmem.firstPage));
}
