/** pin_user_pages() with FOLL_LONGTERM: the pages behind a range of addresses, held until they are let go. */

import { errno } from '../../abi/errno.ts';
import { PROT_READ, PROT_WRITE } from '../../abi/linux.ts';
import type { HostMemory } from '../memory.ts';
import { type PageOwner, PageWindow } from '../page-windows.ts';
import { type PageRange, toBytes, toPages } from '../ranges.ts';
import type { AddressSpace } from './address-space.ts';
import type { Vma } from './vma.ts';

/** The part of a request that one mapping answers: its page `first` and those after it are the window's. */
export interface Pinned {
  /** Pages of the request, counted from its start. */
  readonly pages: PageRange;
  readonly window: PageWindow;
}

/** Up to here a pin makes its pages at once, as the kernel does. Beyond, they come when somebody looks at them. */
export const EAGER_PAGES = 1024;

interface Request {
  /** Page aligned. */
  readonly address: bigint;
  readonly pages: number;
  readonly write: boolean;
  /** Told, in pages of the request, when their owner has let go of some. */
  readonly onPart: (pages: PageRange) => void;
}

/** The pins, in order of address; or -errno, and nothing is pinned. */
export function pinUserPages(space: AddressSpace, memory: HostMemory, request: Request): Pinned[] | number {
  const pinned: Pinned[] = [];
  for (let done = 0; done < request.pages; ) {
    const piece = pinPiece(space, memory, request, done);
    if (typeof piece === 'number') {
      for (const { window } of pinned) window.close();
      return piece;
    }
    pinned.push(piece);
    done = piece.pages.end;
  }
  return pinned;
}

function pinPiece(space: AddressSpace, memory: HostMemory, request: Request, done: number): Pinned | number {
  const { write } = request;
  const address = request.address + toBytes(done);
  const vma = space.find(address);
  if (!vma) return -errno.EFAULT;
  const start = toPages(address - vma.options.address);
  const count = Math.min(request.pages - done, vma.options.pages - start);
  if (!(vma.options.prot & (write ? PROT_WRITE : PROT_READ)) && !arePresent(vma, start, count, write))
    return -errno.EFAULT;
  const source = sourceOf(vma, start);
  if (!source) return -errno.EFAULT;
  const range = { start: source.first, end: source.first + count };
  const refused = source.owner.refuses(range) || makePages(vma, source.owner, start, count, write);
  if (refused !== 0) return refused;
  const onPart = (parted: PageRange): void => {
    const shift = done - range.start;
    request.onPart({ start: parted.start + shift, end: parted.end + shift });
  };
  const window = new PageWindow({ owner: source.owner, range, memory, holds: true, onPart });
  return { pages: { start: done, end: done + count }, window };
}

/** What may only be written can be pinned to be read, where it has page table entries: gup_fast() looks at nothing else. */
function arePresent(vma: Vma, start: number, count: number, write: boolean): boolean {
  if (write) return false;
  for (let page = start; page < start + count; page++)
    if (typeof vma.touch(page, false, 'fast-gup') === 'number') return false;
  return true;
}

/** Whose pages a mapping shows from one of its pages on. */
function sourceOf(vma: Vma, page: number): { owner: PageOwner; first: number } | undefined {
  const { file, filePage } = vma.options;
  if (!file || !vma.shared) return { owner: vma, first: page };
  return file.owner && { owner: file.owner, first: filePage + page };
}

function makePages(vma: Vma, owner: PageOwner, start: number, count: number, write: boolean): number {
  if (count > EAGER_PAGES) return 0;
  for (let page = start; page < start + count; page++) {
    const folio = owner === vma ? vma.page(page) : vma.touch(page, write);
    if (typeof folio === 'number') return folio;
  }
  return 0;
}

/** Who owns the pages behind a range of addresses, part by part, up to the first address that nobody owns. */
export function* ownersBehind(
  space: AddressSpace,
  address: bigint,
  pages: number,
): Generator<{ owner: PageOwner; range: PageRange }> {
  for (let done = 0; done < pages; ) {
    const vma = space.find(address + toBytes(done));
    if (!vma) return;
    const start = toPages(address + toBytes(done) - vma.options.address);
    const count = Math.min(pages - done, vma.options.pages - start);
    const source = sourceOf(vma, start);
    if (source) yield { owner: source.owner, range: { start: source.first, end: source.first + count } };
    done += count;
  }
}

/** How often the page at an address is pinned; undefined where there is none. */
export function pinsAt(space: AddressSpace, address: bigint): number | undefined {
  const folio = space.touch(address, false, 'fast-gup');
  const vma = space.find(address);
  if (typeof folio === 'number' || !vma) return undefined;
  const source = sourceOf(vma, toPages(address - vma.options.address));
  return folio.references + (source?.owner.windows.holds(source.first) ?? 0);
}
