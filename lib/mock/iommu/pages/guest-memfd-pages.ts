/**
 * A guest_memfd by its file, as the out-of-tree designs map it: its pages are looked up and no reference is taken.
 * Which side may have which pages is checked when they are looked up; what happens later is the policy's affair
 * (`../notify/`).
 */

import { errno } from '../../../abi/errno.ts';
import type { GuestMemfdInode, InodePages, Shareability } from '../../guest-memfd/index.ts';
import type { HostMemory } from '../../memory.ts';
import { PageWindow } from '../../page-windows.ts';
import { EAGER_PAGES, type MockFile } from '../../process/index.ts';
import { type PageRange, toPages } from '../../ranges.ts';
import type { IommuPolicy } from '../policy.ts';
import { Pages, type PagesOptions, type Piece } from './pages.ts';

interface GuestMemfdOptions extends PagesOptions {
  readonly file: MockFile;
  readonly owner: InodePages;
  readonly memory: HostMemory;
  /** Page aligned. */
  readonly start: bigint;
  readonly policy: Exclude<IommuPolicy, 'pin'>;
  readonly side: Shareability;
}

export class GuestMemfdPages extends Pages {
  readonly kind = 'file';
  readonly inode: GuestMemfdInode;
  readonly policy: GuestMemfdOptions['policy'];
  override readonly side: Shareability;
  /** The file's page that is this object's first. */
  readonly firstPage: number;
  readonly #options: GuestMemfdOptions;

  constructor(options: GuestMemfdOptions) {
    super(options);
    this.#options = options;
    this.inode = options.owner.inode;
    this.policy = options.policy;
    this.side = options.side;
    this.firstPage = toPages(options.start);
    options.file.get();
  }

  get origin(): bigint {
    return this.#options.start;
  }

  /** A range of the object in pages of the file. */
  inFile({ start, end }: PageRange): PageRange {
    return { start: this.firstPage + start, end: this.firstPage + end };
  }

  /** A range of the file in pages of the object. */
  fromFile({ start, end }: PageRange): PageRange {
    return { start: start - this.firstPage, end: end - this.firstPage };
  }

  protected override pin(range: PageRange): Piece[] | number {
    const { owner, memory } = this.#options;
    const { inode } = owner;
    const inFile = this.inFile(range);
    if (inFile.end > inode.pages) return -errno.EINVAL;
    if (!inode.shareability.isAll(inFile.start, inFile.end, this.side)) return -errno.EACCES;
    if (inFile.end - inFile.start <= EAGER_PAGES) {
      for (let page = inFile.start; page < inFile.end; page++) {
        const folio = owner.page(page);
        if (typeof folio === 'number') return folio;
      }
    }
    const onPart = (parted: PageRange): void => this.parted(this.fromFile(parted));
    return [{ pages: range, window: new PageWindow({ owner, range: inFile, memory, holds: false, onPart }) }];
  }

  override isChanging(range: PageRange, wake: () => void): boolean {
    if (!this.inode.isChanging(this.inFile(range))) return false;
    this.inode.onceSettled(wake);
    return true;
  }

  protected override release(): void {
    this.#options.file.put();
  }
}
