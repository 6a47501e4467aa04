/** A VM's second-level page table: which guest page leads to which host page right now. */

import type { Folio } from '../memory.ts';
import { PageMap } from '../page-map.ts';
import { intersect, type PageRange } from '../ranges.ts';

export interface Translation {
  readonly folio: Folio;
  readonly writable: boolean;
  /** Installed for a private access. */
  readonly private: boolean;
}

export class Stage2 {
  readonly #translations = new PageMap<Translation>();
  readonly #invalidating: PageRange[] = [];

  get size(): number {
    return this.#translations.size;
  }

  get(gfn: number): Translation | undefined {
    return this.#translations.get(gfn);
  }

  /** mmu_invalidate_in_progress, with the range it was raised for. */
  beginInvalidation(range: PageRange): void {
    this.#invalidating.push(range);
  }

  endInvalidation(range: PageRange): void {
    const i = this.#invalidating.findIndex((open) => open.start === range.start && open.end === range.end);
    if (i < 0) throw new Error(`mock: an invalidation of [${range.start}, ${range.end}) ends that never began`);
    this.#invalidating.splice(i, 1);
  }

  /** How many invalidations are under way; 0 between calls. */
  get invalidations(): number {
    return this.#invalidating.length;
  }

  isInvalidating(gfn: number): boolean {
    return this.#invalidating.some((range) => intersect(range, { start: gfn, end: gfn + 1 }));
  }

  /** Installs a translation; refused (false) while its page is being invalidated, and the vCPU must try again. */
  install(gfn: number, translation: Translation): boolean {
    if (this.isInvalidating(gfn)) return false;
    this.#translations.set(gfn, translation);
    return true;
  }

  /** Removes what matches and answers it. */
  zap(range: PageRange, matches: (translation: Translation) => boolean = () => true): Translation[] {
    const gone: Translation[] = [];
    for (const [gfn, translation] of this.#translations.within(range.start, range.end)) {
      if (!matches(translation)) continue;
      this.#translations.delete(gfn);
      gone.push(translation);
    }
    return gone;
  }
}
