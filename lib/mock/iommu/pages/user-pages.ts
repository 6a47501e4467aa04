/** Memory of the process by its address. */

import type { HostMemory } from '../../memory.ts';
import { type AddressSpace, ownersBehind, pinUserPages } from '../../process/index.ts';
import { type PageRange, toBytes } from '../../ranges.ts';
import { Pages, type PagesOptions, type Piece } from './pages.ts';

interface UserOptions extends PagesOptions {
  readonly space: AddressSpace;
  readonly memory: HostMemory;
  /** Page aligned. */
  readonly address: bigint;
}

export class UserPages extends Pages {
  readonly kind = 'user';
  readonly #options: UserOptions;

  constructor(options: UserOptions) {
    super(options);
    this.#options = options;
  }

  get origin(): bigint {
    return this.#options.address;
  }

  protected override pin(range: PageRange): Piece[] | number {
    const { space, memory, address } = this.#options;
    const pinned = pinUserPages(space, memory, {
      address: address + toBytes(range.start),
      pages: range.end - range.start,
      write: this.writable,
      onPart: ({ start, end }) => this.parted({ start: range.start + start, end: range.start + end }),
    });
    if (typeof pinned === 'number') return pinned;
    return pinned.map(({ pages, window }) => ({
      pages: { start: range.start + pages.start, end: range.start + pages.end },
      window,
    }));
  }

  override isChanging(range: PageRange, wake: () => void): boolean {
    const { space, address } = this.#options;
    const start = address + toBytes(range.start);
    for (const part of ownersBehind(space, start, range.end - range.start)) {
      if (part.owner.isChanging?.(part.range)) {
        part.owner.onceSettled?.(wake);
        return true;
      }
    }
    return false;
  }
}
