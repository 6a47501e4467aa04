/** A process's memory: its mappings, and copying through them as the kernel copies, with a short count and no signal. */

import { errno } from '../../abi/errno.ts';
import { I64_MAX, U64_MAX } from '../../abi/invalid.ts';
import {
  MADV_DONTNEED,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
  MAP_ANONYMOUS,
  MAP_POPULATE,
  MAP_PRIVATE,
  MAP_SHARED,
  MAP_SHARED_VALIDATE,
  MAP_SYNC,
  MAP_TYPE,
  PAGE_SIZE,
  PROT_EXEC,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
  S_IFMT,
  S_IFREG,
} from '../../abi/linux.ts';
import type { Folio, HostMemory } from '../memory.ts';
import { isAligned, type PageRange, toPages } from '../ranges.ts';
import type { MockFile } from './file.ts';
import { MemFile } from './memfd.ts';
import type { UserMemory } from './user-memory.ts';
import { type Toucher, Vma } from './vma.ts';

/** Where x86-64 user space ends, less its guard page. */
const TASK_SIZE = 0x7fff_ffff_f000n;
const FIRST_ADDRESS = 0x1000_0000_0000n;
/** Where buffers of the caller's appear while a call has them: below every mapping. */
const FIRST_LENT = 0x10_0000_0000n;

export interface MapRequest {
  readonly length: number;
  readonly prot: number;
  readonly flags: number;
  readonly file: MockFile | undefined;
  readonly offset: bigint;
}

/** Who must hear that page-table entries go: KVM, for the slots whose userspace_addr lies there. */
export type MmuNotifier = (address: bigint, length: bigint) => void;

const ADVICE: ReadonlySet<number> = new Set([MADV_DONTNEED, MADV_POPULATE_READ, MADV_POPULATE_WRITE]);

/** access_ok(): whether a range can be user memory at all. */
export const isUserRange = (address: bigint, length: bigint): boolean => address + length <= TASK_SIZE;

export class AddressSpace {
  readonly notifiers = new Set<MmuNotifier>();
  readonly #memory: HostMemory;
  readonly #vmas = new Map<bigint, Vma>();
  readonly #lent = new Map<bigint, Uint8Array>();
  #next = FIRST_ADDRESS;
  #nextLent = FIRST_LENT;

  constructor(memory: HostMemory) {
    this.#memory = memory;
  }

  /** mmap(2): the address, or -errno. */
  map(request: MapRequest): bigint {
    const refusal = refuses(request);
    if (refusal !== 0) return BigInt(refusal);
    const pages = Math.ceil(request.length / PAGE_SIZE);
    const address = roundUp(this.#next, BigInt(request.file?.mappingUnit ?? PAGE_SIZE));
    if (!isUserRange(address, BigInt(pages * PAGE_SIZE))) return BigInt(-errno.ENOMEM);
    if (this.#memory.faults.failsNow('vma')) return BigInt(-errno.ENOMEM);
    const vma = this.#newVma(request, address, pages);
    const error = vma.options.file?.mmap(vma) ?? 0;
    if (error !== 0) return BigInt(error);
    this.#adopt(vma);
    if (request.flags & MAP_POPULATE) this.#populate(vma, 0, pages, (request.prot & PROT_WRITE) !== 0);
    return vma.options.address;
  }

  #newVma(request: MapRequest, address: bigint, pages: number): Vma {
    const isAnonymous = (request.flags & MAP_ANONYMOUS) !== 0;
    return new Vma({
      address,
      pages,
      prot: request.prot,
      flags: request.flags,
      file: isAnonymous ? this.#anonymousFile(request.flags, pages) : request.file,
      filePage: isAnonymous ? 0 : toPages(request.offset),
      memory: this.#memory,
      onUnmap: this.#notify,
    });
  }

  /** shmem_zero_setup(): a file that nobody can name, which keeps its pages when a mapping lets go of them. */
  #anonymousFile(flags: number, pages: number): MockFile | undefined {
    if ((flags & MAP_TYPE) === MAP_PRIVATE) return undefined;
    const file = new MemFile(0, this.#memory);
    file.truncate(BigInt(pages * PAGE_SIZE));
    return file;
  }

  #adopt(vma: Vma): void {
    vma.options.file?.get();
    this.#vmas.set(vma.options.address, vma);
    this.#memory.users.add(this);
    // A page left free after each mapping, so that running over its end is noticed.
    if (vma.end >= this.#next) this.#next = vma.end + BigInt(PAGE_SIZE);
  }

  readonly #notify = (vma: Vma, range: PageRange): void => {
    const address = vma.options.address + BigInt(range.start * PAGE_SIZE);
    for (const notifier of this.notifiers) notifier(address, BigInt((range.end - range.start) * PAGE_SIZE));
  };

  unmap(address: bigint): number {
    const vma = this.#vmas.get(address);
    if (!vma) return -errno.EINVAL;
    this.#vmas.delete(address);
    vma.drop(0, vma.options.pages);
    vma.options.file?.munmap(vma);
    vma.options.file?.put();
    if (this.#vmas.size === 0) {
      this.#next = FIRST_ADDRESS;
      this.#memory.users.delete(this);
    }
    return 0;
  }

  /** Whether the mapping at an address is for this kind of access, as it was asked for. */
  allows(address: bigint, write: boolean): boolean {
    const { prot = PROT_NONE } = this.find(address)?.options ?? {};
    return (prot & (write ? PROT_WRITE : PROT_READ)) !== 0;
  }

  /** The mapping that holds this address. */
  find(address: bigint): Vma | undefined {
    for (const vma of this.#vmas.values()) if (address >= vma.options.address && address < vma.end) return vma;
    return undefined;
  }

  /** The page at an address, faulted in for this access, or -EFAULT. */
  touch(address: bigint, write: boolean, by: Toucher = 'cpu'): Folio | number {
    const vma = this.find(address);
    if (!vma) return -errno.EFAULT;
    return vma.touch(toPages(address - vma.options.address), write, by);
  }

  /** An ioctl's argument that is an address of this process. */
  argumentAt(address: bigint): UserMemory {
    return {
      value: address,
      read: (size) => {
        const bytes = new Uint8Array(size);
        return this.copyOut(address, bytes) === size ? bytes : undefined;
      },
      write: (bytes) => this.copyIn(address, bytes) === bytes.length,
    };
  }

  /** Gives a buffer of the caller's an address, until it is taken back. */
  lend(buffer: Uint8Array): bigint {
    const address = this.#nextLent;
    this.#nextLent += BigInt(Math.ceil(buffer.length / PAGE_SIZE) + 1) * BigInt(PAGE_SIZE);
    this.#lent.set(address, buffer);
    return address;
  }

  takeBack(address: bigint): void {
    this.#lent.delete(address);
  }

  /** The lent buffer that holds all of [address, address + length), and where in it that begins. */
  #lentAt(address: bigint, length: number): { buffer: Uint8Array; at: number } | undefined {
    for (const [start, buffer] of this.#lent) {
      const at = Number(address - start);
      if (at >= 0 && at + length <= buffer.length) return { buffer, at };
    }
    return undefined;
  }

  /** Bytes copied before the first page that cannot be touched; -EFAULT when that is the first one. */
  copyIn(address: bigint, bytes: Uint8Array): number {
    const lent = this.#lentAt(address, bytes.length);
    if (lent) {
      lent.buffer.set(bytes, lent.at);
      return bytes.length;
    }
    return this.#copy(address, bytes.length, true, (folio, within, at, length) => {
      folio.bytes.set(bytes.subarray(at, at + length), within);
    });
  }

  copyOut(address: bigint, bytes: Uint8Array): number {
    const lent = this.#lentAt(address, bytes.length);
    if (lent) {
      bytes.set(lent.buffer.subarray(lent.at, lent.at + bytes.length));
      return bytes.length;
    }
    return this.#copy(address, bytes.length, false, (folio, within, at, length) => {
      folio.copyTo(bytes.subarray(at, at + length), within);
    });
  }

  #copy(
    address: bigint,
    length: number,
    write: boolean,
    move: (folio: Folio, within: number, at: number, length: number) => void,
  ): number {
    for (let at = 0; at < length; ) {
      const here = address + BigInt(at);
      const within = Number(here & BigInt(PAGE_SIZE - 1));
      const folio = this.touch(here, write);
      if (typeof folio === 'number') return at > 0 ? at : -errno.EFAULT;
      const step = Math.min(PAGE_SIZE - within, length - at);
      move(folio, within, at, step);
      at += step;
    }
    return length;
  }

  madvise(address: bigint, length: number, advice: number): number {
    if (!ADVICE.has(advice) || !isAligned(address)) return -errno.EINVAL;
    if (length === 0) return 0;
    const vma = this.find(address);
    const start = vma ? toPages(address - vma.options.address) : 0;
    const end = start + Math.ceil(length / PAGE_SIZE);
    if (!vma) return -errno.ENOMEM;
    if (advice !== MADV_DONTNEED) return this.#populate(vma, start, end, advice === MADV_POPULATE_WRITE);
    vma.drop(start, end);
    return 0;
  }

  #populate(vma: Vma, start: number, end: number, write: boolean): number {
    if (!(vma.options.prot & (write ? PROT_WRITE : PROT_READ))) return -errno.EINVAL;
    for (let page = start; page < end; page++) {
      const folio = vma.touch(page, write);
      if (typeof folio === 'number') return folio;
    }
    return 0;
  }

  /** fork(2), as far as memory goes: the same mappings at the same addresses. */
  fork(): AddressSpace {
    const child = new AddressSpace(this.#memory);
    for (const vma of this.#vmas.values()) {
      const twin = vma.fork(child.#notify);
      twin.options.file?.mmap(twin);
      child.#adopt(twin);
    }
    return child;
  }

  /** The process exits. */
  unmapAll(): void {
    for (const address of [...this.#vmas.keys()]) this.unmap(address);
  }
}

const roundUp = (address: bigint, unit: bigint): bigint => ((address + unit - 1n) / unit) * unit;

/** file_mmap_size_max(): drivers' files, KVM's among them, have no end but that of numbers. */
function endOf(file: MockFile): bigint {
  const isRegular = (file.stat().mode & S_IFMT) === S_IFREG;
  return isRegular ? I64_MAX : U64_MAX;
}

/** What do_mmap() checks before it asks the file, in its order: 0 or -errno. */
function refuses({ length, prot, flags, file, offset }: MapRequest): number {
  if (!isAligned(offset)) return -errno.EINVAL;
  if (!(flags & MAP_ANONYMOUS) && !file) return -errno.EBADF;
  if (length === 0) return -errno.EINVAL;
  if (!isUserRange(FIRST_ADDRESS, BigInt(length))) return -errno.ENOMEM;
  const pageCount = Math.ceil(length / PAGE_SIZE);
  const type = flags & MAP_TYPE;
  const isPlain = type === MAP_SHARED || type === MAP_PRIVATE;
  if (flags & MAP_ANONYMOUS || !file) return isPlain ? 0 : -errno.EINVAL;
  const lastOffset = endOf(file) - BigInt(pageCount * PAGE_SIZE);
  if (BigInt.asUintN(64, offset) >> 12n > lastOffset >> 12n) return -errno.EOVERFLOW;
  if ((pageCount * PAGE_SIZE) % file.mappingUnit !== 0) return -errno.EINVAL;
  if (!isPlain && type !== MAP_SHARED_VALIDATE) return -errno.EINVAL;
  if (type === MAP_SHARED_VALIDATE && flags & MAP_SYNC) return -errno.EOPNOTSUPP;
  if (prot & PROT_EXEC && file.noExec) return -errno.EPERM;
  return 0;
}
