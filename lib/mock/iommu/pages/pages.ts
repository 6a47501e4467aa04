/**
 * The memory behind one or more areas: drivers/iommu/iommufd/pages.c, struct iopt_pages. Areas of several IOASes share
 * it after a copy. A page is pinned while somebody needs it, once, however many do.
 */

import { RangeMap } from '../../../ranges/index.ts';
import type { Shareability } from '../../guest-memfd/index.ts';
import type { Folio } from '../../memory.ts';
import type { PageOwner, PageWindow } from '../../page-windows.ts';
import type { PageRange } from '../../ranges.ts';
import type { AccountMode, LockedMemory } from './accounting.ts';

/** Pages of the object that a window shows: page i of the object is page i + shift of the window. */
export interface Piece {
  readonly pages: PageRange;
  readonly window: PageWindow;
}

interface Shown {
  readonly window: PageWindow;
  readonly shift: number;
}

export interface PagesOptions {
  /** In bytes, from the start of the first page. */
  readonly end: bigint;
  readonly writable: boolean;
  readonly locked: LockedMemory;
  readonly mode: AccountMode;
}

export abstract class Pages {
  /** Whose the memory is: `private`, pages of a guest_memfd that the guest has for itself. */
  readonly side: Shareability = 'shared';
  readonly count: number;
  readonly writable: boolean;
  readonly mode: AccountMode;
  readonly #locked: LockedMemory;
  readonly #needs = new RangeMap(0);
  readonly #shown = new RangeMap<Shown | undefined>(undefined);
  #references = 0;
  /** Told which pages of the object the device now has and their owner no longer has. */
  readonly onPart = new Set<(range: PageRange) => void>();

  constructor({ end, writable, locked, mode }: PagesOptions) {
    this.count = Number((end + 4095n) >> 12n);
    this.writable = writable;
    this.#locked = locked;
    this.mode = mode;
  }

  /** The address or file offset of the first page: the kernel chooses an I/O address that is aligned as it is. */
  abstract readonly origin: bigint;
  /** IOPT_ADDRESS_USER, IOPT_ADDRESS_FILE, IOPT_ADDRESS_DMABUF. */
  abstract readonly kind: 'user' | 'file' | 'dma-buf';

  /** Takes pages from where they are: pieces in order, or -errno and none. */
  protected abstract pin(range: PageRange): Piece[] | number;

  /** Whether the memory is being converted or truncated right now; `wake` is called once it is not. */
  isChanging(_range: PageRange, _wake: () => void): boolean {
    return false;
  }

  /** The owner has let go of pages that go on being mapped. */
  protected parted(range: PageRange): void {
    for (const tell of this.onPart) tell(range);
  }

  /** Nobody refers to the memory any more. */
  protected release(): void {}

  get(): this {
    this.#references++;
    return this;
  }

  put(): void {
    if (--this.#references === 0) this.release();
  }

  /** Somebody needs the pages of the range: those nobody needed yet are pinned. 0, or -errno and nothing changed. */
  need(range: PageRange): number {
    const pinned: Piece[] = [];
    for (const fresh of this.#unneeded(range)) {
      const pieces = this.pin(fresh);
      if (typeof pieces === 'number') return undo(pinned, pieces);
      pinned.push(...pieces);
    }
    const charged = this.#locked.charge(this.mode, this.#accounted(pinned));
    if (charged !== 0) return undo(pinned, charged);
    this.#show(pinned);
    this.#count(range, 1);
    return 0;
  }

  /** As need and unneed around `use`, for a copy: the pages are not counted. */
  borrow(range: PageRange, use: () => void): number {
    const pinned: Piece[] = [];
    for (const fresh of this.#unneeded(range)) {
      const pieces = this.pin(fresh);
      if (typeof pieces === 'number') return undo(pinned, pieces);
      pinned.push(...pieces);
    }
    this.#show(pinned);
    use();
    for (const { pages } of pinned) this.#shown.set(pages.start, pages.end, undefined);
    return undo(pinned, 0);
  }

  #show(pieces: readonly Piece[]): void {
    for (const { pages, window } of pieces) {
      this.#shown.set(pages.start, pages.end, { window, shift: window.range.start - pages.start });
    }
  }

  /** Somebody needs them no longer. */
  unneed(range: PageRange): void {
    this.#count(range, -1);
    for (const fresh of this.#unneeded(range)) this.forget(fresh);
  }

  /** Lets go of what is shown of a range, whether it is needed or not. */
  forget(range: PageRange): void {
    for (const { start, end, value } of this.#shown.within(range.start, range.end)) {
      if (!value) continue;
      if (value.window.holds) this.#locked.uncharge(this.mode, end - start);
      value.window.close({ start: start + value.shift, end: end + value.shift });
    }
    this.#shown.set(range.start, range.end, undefined);
  }

  /** The page a device reaches; undefined where nothing is mapped, or -errno. */
  folio(index: number): Folio | number | undefined {
    const shown = this.#shown.get(index);
    return shown?.window.page(index + shown.shift);
  }

  /** Whose page is shown, and whether its owner has let go of it meanwhile; undefined where none is. */
  at(index: number): { owner: PageOwner; page: number; isParted: boolean } | undefined {
    const shown = this.#shown.get(index);
    if (!shown) return undefined;
    const page = index + shown.shift;
    return { owner: shown.window.owner, page, isParted: shown.window.isParted(page) };
  }

  /** Whether what is shown was given back to the host: mapped without a reference, and gone. */
  isFreed(index: number): boolean {
    const shown = this.#shown.get(index);
    return shown !== undefined && !shown.window.holds && shown.window.isParted(index + shown.shift);
  }

  /** The parts of a range that are mapped. */
  mapped(range: PageRange): PageRange[] {
    return this.#shown.within(range.start, range.end).filter((run) => run.value !== undefined);
  }

  #unneeded({ start, end }: PageRange): PageRange[] {
    return this.#needs.within(start, end).filter((run) => run.value === 0);
  }

  #count({ start, end }: PageRange, by: number): void {
    for (const run of this.#needs.within(start, end)) this.#needs.set(run.start, run.end, run.value + by);
  }

  /** Pages without references, as those of a notified guest_memfd, do not count. */
  #accounted(pieces: readonly Piece[]): number {
    return pieces.reduce((sum, { pages, window }) => sum + (window.holds ? pages.end - pages.start : 0), 0);
  }
}

function undo(pieces: readonly Piece[], error: number): number {
  for (const { window } of pieces) window.close();
  return error;
}
