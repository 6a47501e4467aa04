/** memfd_create(2): ordinary shared memory, so that tests have something that is not a guest_memfd. */

import { errno } from '../../abi/errno.ts';
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, PAGE_SIZE, S_IFREG } from '../../abi/linux.ts';
import type { Stat } from '../../syscalls/seam.ts';
import type { Folio, HostMemory } from '../memory.ts';
import { PageMap } from '../page-map.ts';
import { type PageOwner, Windows } from '../page-windows.ts';
import type { PageRange } from '../ranges.ts';
import { type FileMapping, MockFile } from './file.ts';

export class MemFile extends MockFile implements PageOwner {
  readonly windows = new Windows();
  readonly #number: number;
  readonly #memory: HostMemory;
  readonly #folios = new PageMap<Folio>();
  readonly #mappings = new Set<FileMapping>();
  #size = 0;

  constructor(number: number, memory: HostMemory) {
    super();
    this.#number = number;
    this.#memory = memory;
  }

  stat(): Stat {
    return {
      ino: BigInt(this.#number),
      mode: S_IFREG | 0o777,
      nlink: 0,
      size: BigInt(this.#size),
      blksize: PAGE_SIZE,
      blocks: BigInt((this.#folios.size * PAGE_SIZE) / 512),
    };
  }

  override truncate(length: bigint): number {
    if (length < 0n) return -errno.EINVAL;
    this.#size = Number(length);
    this.#zero(this.#size, roundUp(this.#size));
    // truncate_pagecache(): what lies behind the end goes from private mappings too.
    this.#drop({ start: roundUp(this.#size) / PAGE_SIZE, end: Number.MAX_SAFE_INTEGER }, true);
    return 0;
  }

  /** shmem_fallocate(): holes, and space ahead of its use. */
  override fallocate(mode: number, offset: bigint, length: bigint): number {
    if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)) return -errno.EOPNOTSUPP;
    const start = Number(offset);
    const end = start + Number(length);
    if (mode & FALLOC_FL_PUNCH_HOLE) return this.#punchHole(start, end);
    for (let page = Math.floor(start / PAGE_SIZE); page * PAGE_SIZE < end; page++) {
      const folio = this.#folio(page);
      if (typeof folio === 'number') return folio;
    }
    if (!(mode & FALLOC_FL_KEEP_SIZE)) this.#size = Math.max(this.#size, end);
    return 0;
  }

  #punchHole(start: number, end: number): number {
    const first = roundUp(start);
    const last = Math.floor(end / PAGE_SIZE) * PAGE_SIZE;
    this.#zero(start, Math.min(first, end));
    if (last >= first) this.#zero(Math.max(last, start), end);
    if (last > first) this.#drop({ start: first / PAGE_SIZE, end: last / PAGE_SIZE });
    return 0;
  }

  /** Part of one page. */
  #zero(start: number, end: number): void {
    const folio = start < end ? this.#folios.get(Math.floor(start / PAGE_SIZE)) : undefined;
    folio?.bytes.fill(0, start % PAGE_SIZE, (start % PAGE_SIZE) + end - start);
  }

  /** Whole pages go, from every mapping first. Those who pinned them keep them. */
  #drop(range: PageRange, evenOwn = false): void {
    for (const mapping of this.#mappings) mapping.unmapFilePages(range, evenOwn);
    this.windows.part(range);
    for (const [page, folio] of this.#folios.within(range.start, range.end)) {
      this.#folios.delete(page);
      this.#memory.release(folio);
    }
  }

  page(index: number): Folio | number {
    return this.#folio(index);
  }

  present({ start, end }: PageRange): Iterable<readonly [index: number, folio: Folio]> {
    return this.#folios.within(start, end);
  }

  /** What get_user_pages() meets on a mapping: nothing beyond the page in which the file ends. */
  refuses(range: PageRange): number {
    return range.end * PAGE_SIZE <= roundUp(this.#size) ? 0 : -errno.EFAULT;
  }

  override get owner(): MemFile {
    return this;
  }

  get size(): number {
    return this.#size;
  }

  override get hasPositions(): boolean {
    return true;
  }

  override read(bytes: Uint8Array, offset = 0n): number {
    const at = Number(offset);
    const length = Math.max(0, Math.min(bytes.length, this.#size - at));
    return this.#each(at, length, (folio, within, done, step) => {
      folio.copyTo(bytes.subarray(done, done + step), within);
    });
  }

  override write(bytes: Uint8Array, offset = 0n): number {
    this.#size = Math.max(this.#size, Number(offset) + bytes.length);
    return this.#each(Number(offset), bytes.length, (folio, within, done, step) => {
      folio.bytes.set(bytes.subarray(done, done + step), within);
    });
  }

  #each(at: number, length: number, move: (folio: Folio, within: number, done: number, step: number) => void): number {
    for (let done = 0; done < length; ) {
      const within = (at + done) % PAGE_SIZE;
      const step = Math.min(PAGE_SIZE - within, length - done);
      const folio = this.#folio(Math.floor((at + done) / PAGE_SIZE));
      if (typeof folio === 'number') return folio;
      move(folio, within, done, step);
      done += step;
    }
    return length;
  }

  #folio(page: number): Folio | number {
    const present = this.#folios.get(page);
    if (present) return present;
    const folio = this.#memory.allocate();
    if (typeof folio !== 'number') this.#folios.set(page, folio);
    return folio;
  }

  override mmap(mapping: FileMapping): number {
    this.#mappings.add(mapping);
    return 0;
  }

  override munmap(mapping: FileMapping): void {
    this.#mappings.delete(mapping);
  }

  override fault(page: number): Folio | number {
    return page * PAGE_SIZE < this.#size ? this.#folio(page) : -errno.EFAULT;
  }

  protected override release(): void {
    this.#drop({ start: 0, end: Number.MAX_SAFE_INTEGER });
  }
}

const roundUp = (bytes: number): number => Math.ceil(bytes / PAGE_SIZE) * PAGE_SIZE;
