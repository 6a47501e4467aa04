/** memfd_create(2): ordinary shared memory, so that tests have something that is not a guest_memfd. */

import { errno } from '../../abi/errno.ts';
import { PAGE_SIZE, S_IFREG } from '../../abi/linux.ts';
import type { Stat } from '../../syscalls/seam.ts';
import type { Folio, HostMemory } from '../memory.ts';
import { PageMap } from '../page-map.ts';
import { type FileMapping, MockFile } from './file.ts';

export class MemFile extends MockFile {
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
    const range = { start: Math.ceil(this.#size / PAGE_SIZE), end: Number.MAX_SAFE_INTEGER };
    for (const mapping of this.#mappings) mapping.unmapFilePages(range);
    this.#drop(range.start);
    return 0;
  }

  #drop(start: number): void {
    for (const [page, folio] of this.#folios.within(start, Number.MAX_SAFE_INTEGER)) {
      this.#folios.delete(page);
      this.#memory.release(folio);
    }
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
    this.#drop(0);
  }
}
