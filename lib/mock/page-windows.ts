/**
 * Pages as an outsider has them who took them once and does not look again: a device's page table, a pin.
 * A window goes on showing the same pages when their owner has let go of them, which is what makes a mapping stale.
 *
 * A window is a range, and costs the same for a page and for a terabyte: pages in it come into being when somebody
 * looks at them.
 */

import { RangeMap } from '../ranges/index.ts';
import type { Folio, HostMemory } from './memory.ts';
import { OverlapMap } from './overlap-map.ts';
import { PageMap } from './page-map.ts';
import { intersect, type PageRange } from './ranges.ts';

/** Whose pages they are: a guest_memfd, a memfd, anonymous memory. */
export interface PageOwner {
  readonly windows: Windows;
  /** The page, made if need be, or -errno. */
  page(index: number): Folio | number;
  /** The pages of the range that there are. */
  present(range: PageRange): Iterable<readonly [index: number, folio: Folio]>;
  /** Whether an outsider may have all of the range: 0 or -errno. */
  refuses(range: PageRange): number;
  /** Whether the range is being converted or truncated at this moment; `onceSettled` calls back when that is over. */
  isChanging?(range: PageRange): boolean;
  onceSettled?(wake: () => void): void;
}

/** An owner's windows. The owner says `part` before it lets go of pages. */
export class Windows {
  readonly #open = new OverlapMap<PageWindow>();

  open(window: PageWindow): void {
    this.#open.add(window.range, window);
  }

  close(window: PageWindow, range: PageRange): void {
    this.#open.remove(range, window);
  }

  /** How many holds a page has. */
  holds(page: number): number {
    return this.#open.at(page).filter((window) => window.holds).length;
  }

  /** The first page of the range that somebody holds. */
  firstHeld(range: PageRange): number | undefined {
    return this.#open.within(range).find((run) => run.value.some((window) => window.holds))?.start;
  }

  /** The owner lets go of these pages: every window keeps what it shows. */
  part(range: PageRange): void {
    for (const run of this.#open.within(range)) {
      for (const window of run.value) {
        this.#open.remove(run, window);
        window.part(run);
      }
    }
  }
}

export interface WindowOptions {
  readonly owner: PageOwner;
  readonly range: PageRange;
  readonly memory: HostMemory;
  /** Whether the pages cannot go away while the window is open: a pin. Without it what is shown may be freed memory. */
  readonly holds: boolean;
  /** Told when the owner has let go of pages that the window goes on showing. */
  readonly onPart?: (range: PageRange) => void;
}

/** Pages that are no longer the owner's, and those of them that had been there. */
interface Parted {
  readonly pages: RangeMap<boolean>;
  readonly kept: PageMap<Folio>;
}

export class PageWindow {
  readonly range: PageRange;
  readonly holds: boolean;
  readonly owner: PageOwner;
  readonly #memory: HostMemory;
  readonly #onPart: ((range: PageRange) => void) | undefined;
  /** Most windows are closed before their owner lets go of anything, and many are as small as a page. */
  #parted: Parted | undefined;

  constructor({ owner, range, memory, holds, onPart }: WindowOptions) {
    this.range = range;
    this.holds = holds;
    this.owner = owner;
    this.#memory = memory;
    this.#onPart = onPart;
    owner.windows.open(this);
  }

  /** Whether the owner has let go of this page. */
  isParted(index: number): boolean {
    return this.#parted?.pages.get(index) ?? false;
  }

  /** The page the window shows, or -errno. */
  page(index: number): Folio | number {
    if (!this.isParted(index)) return this.owner.page(index);
    return this.#parted?.kept.get(index) ?? this.#neverTouched(index);
  }

  /** Taken, never touched, and then lost to its owner: a page of zeros that only the window has. */
  #neverTouched(index: number): Folio | number {
    const folio = this.#memory.allocate();
    if (typeof folio !== 'number') this.#keep(index, folio, true);
    return folio;
  }

  #keep(index: number, folio: Folio, orphan: boolean): void {
    this.#parted?.kept.set(index, folio);
    if (this.holds) this.#memory.get(folio);
    if (orphan) this.#memory.release(folio);
  }

  /** For the owner: these pages are about to go. */
  part(range: PageRange): void {
    this.#parted ??= { pages: new RangeMap(false), kept: new PageMap() };
    for (const [index, folio] of this.owner.present(range)) this.#keep(index, folio, false);
    this.#parted.pages.set(range.start, range.end, true);
    this.#onPart?.(range);
  }

  /** Closes the window over a part of its range. */
  close(part: PageRange = this.range): void {
    const range = intersect(part, this.range);
    if (!range) return;
    this.owner.windows.close(this, range);
    const kept = this.#parted?.kept;
    for (const [index, folio] of kept?.within(range.start, range.end) ?? []) {
      kept?.delete(index);
      if (this.holds) this.#memory.put(folio);
    }
  }
}
