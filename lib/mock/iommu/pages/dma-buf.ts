/** The test driver's dma-buf, and its memory mapped into an IOAS: not pinned, not counted, and it can be revoked. */

import { errno } from '../../../abi/errno.ts';
import { PAGE_SIZE, S_IFREG } from '../../../abi/linux.ts';
import type { Stat } from '../../../syscalls/seam.ts';
import { Folio, type HostMemory } from '../../memory.ts';
import { type PageOwner, PageWindow, Windows } from '../../page-windows.ts';
import { MockFile } from '../../process/index.ts';
import { type PageRange, toPages } from '../../ranges.ts';
import { Pages, type PagesOptions, type Piece } from './pages.ts';

export class DmaBufFile extends MockFile implements PageOwner {
  readonly windows = new Windows();
  readonly #number: number;
  readonly #folios: readonly Folio[];
  readonly #importers = new Set<() => void>();
  #revoked = false;

  /** `length`: bytes, in whole pages. */
  constructor(number: number, length: number) {
    super();
    this.#number = number;
    this.#folios = Array.from({ length: length / PAGE_SIZE }, () => new Folio());
  }

  get length(): number {
    return this.#folios.length * PAGE_SIZE;
  }

  get isRevoked(): boolean {
    return this.#revoked;
  }

  /** Told when the memory is taken away. Answers how to stop. */
  onRevoke(tell: () => void): () => void {
    this.#importers.add(tell);
    return () => this.#importers.delete(tell);
  }

  revoke(revoked: boolean): void {
    this.#revoked = revoked;
    // Also a revoke that gives back tells the importers, who must ask again and then get the memory.
    for (const tell of [...this.#importers]) tell();
  }

  page(index: number): Folio | number {
    return this.#folios[index] ?? -errno.EINVAL;
  }

  present(): Iterable<readonly [index: number, folio: Folio]> {
    return this.#folios.entries();
  }

  refuses(): number {
    return 0;
  }

  stat(): Stat {
    const size = BigInt(this.length);
    return { ino: BigInt(this.#number), mode: S_IFREG | 0o600, nlink: 1, size, blksize: PAGE_SIZE, blocks: 0n };
  }
}

interface DmaBufOptions extends PagesOptions {
  readonly file: DmaBufFile;
  readonly memory: HostMemory;
  readonly start: bigint;
}

export class DmaBufPages extends Pages {
  readonly kind = 'dma-buf';
  readonly #options: DmaBufOptions;
  readonly #stop: () => void;
  /** Once revoked, for ever: what is mapped already does not come back. */
  #revoked = false;

  constructor(options: DmaBufOptions) {
    super(options);
    this.#options = options;
    options.file.get();
    this.#stop = options.file.onRevoke(() => {
      this.#revoked = true;
      this.forget({ start: 0, end: this.count });
    });
  }

  get origin(): bigint {
    return this.#options.start;
  }

  protected override pin(range: PageRange): Piece[] | number {
    if (this.#revoked) return [];
    const { file, memory, start } = this.#options;
    const first = toPages(start);
    const inFile = { start: first + range.start, end: first + range.end };
    return [{ pages: range, window: new PageWindow({ owner: file, range: inFile, memory, holds: false }) }];
  }

  protected override release(): void {
    this.#stop();
    this.#options.file.put();
  }
}
