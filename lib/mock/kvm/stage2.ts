/** A VM's second-level page table: which guest page leads to which host page right now. */

import type { Folio } from '../memory.ts';
import { PageMap } from '../page-map.ts';
import { intersect, type PageRange, union } from '../ranges.ts';

/** What an entry covers at most: 1 GiB, else 2 MiB, else a page. */
export const LARGE = [512 * 512, 512] as const;

export interface Translation {
  /** The guest pages it covers. */
  readonly gfns: PageRange;
  readonly writable: boolean;
  /** Installed for a private access. */
  readonly private: boolean;
  /** The host's page behind one of them. */
  folio(gfn: number): Folio;
  /** Those of the host's pages that anybody has used, by guest page. */
  used(): Iterable<readonly [gfn: number, folio: Folio]>;
}

export type Kind = Pick<Translation, 'writable' | 'private'>;

export const mapsPage = (gfn: number, folio: Folio, kind: Kind): Translation => ({
  gfns: { start: gfn, end: gfn + 1 },
  folio: () => folio,
  used: () => [[gfn, folio]],
  ...kind,
});

/** The entries of one size, by their number. */
interface Level {
  readonly pages: number;
  readonly entries: PageMap<Translation>;
}

export class Stage2 {
  readonly #levels: readonly Level[] = [...LARGE, 1].map((pages) => ({ pages, entries: new PageMap() }));
  #invalidations = 0;
  /** Holds all that is under way; undefined where nothing is. */
  #invalidated: PageRange | undefined;
  /** The starts of what is under way, added up: nothing may end that never began. */
  #balance = 0;

  /** How many entries there are. */
  get size(): number {
    return this.#levels.reduce((sum, { entries }) => sum + entries.size, 0);
  }

  get(gfn: number): Translation | undefined {
    for (const { pages, entries } of this.#levels) {
      if (entries.size === 0) continue;
      const found = entries.get(Math.floor(gfn / pages));
      if (found) return found;
    }
    return undefined;
  }

  *entries(): Generator<Translation> {
    for (const { entries } of this.#levels) {
      for (const [, translation] of entries.within(0, Number.MAX_SAFE_INTEGER)) yield translation;
    }
  }

  /** kvm_mmu_invalidate_begin() and _range_add(): of several ranges, one is kept that holds them all. */
  beginInvalidation(range: PageRange): void {
    this.#invalidated = this.#invalidated ? union(this.#invalidated, range) : range;
    this.#invalidations++;
    this.#balance += range.start;
  }

  endInvalidation({ start, end }: PageRange): void {
    this.#invalidations--;
    this.#balance -= start;
    if (this.#invalidations < 0 || (this.#invalidations === 0 && this.#balance !== 0)) {
      throw new Error(`mock: an invalidation of [${start}, ${end}) ends that never began`);
    }
    if (this.#invalidations === 0) this.#invalidated = undefined;
  }

  /** How many invalidations are under way; 0 between calls. */
  get invalidations(): number {
    return this.#invalidations;
  }

  /** mmu_invalidate_retry_gfn(). */
  isInvalidating(range: PageRange): boolean {
    return this.#invalidated !== undefined && intersect(this.#invalidated, range) !== undefined;
  }

  /**
   * Installs a translation in place of those it covers; refused (false) while any of it is being invalidated, and the
   * vCPU must try again.
   */
  install(translation: Translation): boolean {
    const { gfns } = translation;
    if (this.isInvalidating(gfns)) return false;
    this.zap(gfns);
    const pages = gfns.end - gfns.start;
    this.#levels.find((level) => level.pages === pages)!.entries.set(gfns.start / pages, translation);
    return true;
  }

  /** Removes what matches and answers it. An entry goes as a whole, also when the range has only a part of it. */
  zap(range: PageRange, matches: (translation: Translation) => boolean = () => true): Translation[] {
    const gone: Translation[] = [];
    for (const { pages, entries } of this.#levels) {
      if (entries.size === 0) continue;
      for (const [number, translation] of entries.within(
        Math.floor(range.start / pages),
        Math.ceil(range.end / pages),
      )) {
        if (!matches(translation)) continue;
        entries.delete(number);
        gone.push(translation);
      }
    }
    return gone;
  }
}
