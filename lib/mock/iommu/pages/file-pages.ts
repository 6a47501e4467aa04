/**
 * Memory by its file: memfd_pin_folios(), which takes shared memory and nothing else. What else was given is only
 * noticed when the pages are wanted.
 */

import { errno } from '../../../abi/errno.ts';
import { I64_MAX } from '../../../abi/invalid.ts';
import type { HostMemory } from '../../memory.ts';
import { PageWindow } from '../../page-windows.ts';
import { EAGER_PAGES, MemFile, type MockFile } from '../../process/index.ts';
import { type PageRange, toBytes, toPages } from '../../ranges.ts';
import { Pages, type PagesOptions, type Piece } from './pages.ts';

interface FileOptions extends PagesOptions {
  readonly file: MockFile;
  readonly memory: HostMemory;
  /** Page aligned. */
  readonly start: bigint;
}

export class FilePages extends Pages {
  readonly kind = 'file';
  readonly #options: FileOptions;

  constructor(options: FileOptions) {
    super(options);
    this.#options = options;
    options.file.get();
  }

  get origin(): bigint {
    return this.#options.start;
  }

  protected override pin(range: PageRange): Piece[] | number {
    const { file, memory, start } = this.#options;
    if (!(file instanceof MemFile)) return -errno.EINVAL;
    const end = start + toBytes(range.end);
    if (end - 1n > I64_MAX || end > BigInt(file.size)) return -errno.EINVAL;
    const first = toPages(start);
    const inFile = { start: first + range.start, end: first + range.end };
    const made = makePages(file, inFile);
    if (made !== 0) return made;
    const onPart = (parted: PageRange): void => this.parted({ start: parted.start - first, end: parted.end - first });
    return [{ pages: range, window: new PageWindow({ owner: file, range: inFile, memory, holds: true, onPart }) }];
  }

  protected override release(): void {
    this.#options.file.put();
  }
}

function makePages(file: MemFile, { start, end }: PageRange): number {
  if (end - start > EAGER_PAGES) return 0;
  for (let page = start; page < end; page++) {
    const folio = file.page(page);
    if (typeof folio === 'number') return folio;
  }
  return 0;
}
