/** System calls as they are, for values that the typed API refuses; what succeeds is undone when the case ends. */

import {
  type IoctlIn,
  KVM_CREATE_GUEST_MEMFD,
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  MAP_SHARED,
  PAGE_SIZE,
  PROT_READ,
  PROT_WRITE,
} from '../abi/index.ts';
import { type FdLike, failure, fdNumber, type Result, success } from '../host/index.ts';
import type { T } from './context.ts';

/** A number that no fd of this process has. */
export const NO_FD = 0x7fff_fff0;

function answer<N extends number | bigint>(syscall: string, args: Record<string, unknown>, ret: N): Result<N> {
  return ret < 0 ? failure({ syscall, args }, Number(ret)) : success(ret);
}

export async function fallocate(
  t: T,
  fd: FdLike,
  mode: number,
  offset: number | bigint,
  length: number | bigint,
): Promise<Result<number>> {
  const ret = await t.host.raw.syscalls.fallocate(fdNumber(fd), mode, BigInt(offset), BigInt(length));
  return answer('fallocate', { mode, offset, length }, ret);
}

export interface MmapArgs {
  readonly length: number;
  /** Default: to read and write. */
  readonly prot?: number;
  /** Default: MAP_SHARED. */
  readonly flags?: number;
  readonly offset?: number | bigint;
}

/** A mapping's address; it is unmapped at the end. */
export async function mmap(t: T, fd: FdLike, args: MmapArgs): Promise<Result<bigint>> {
  const { length, prot = PROT_READ | PROT_WRITE, flags = MAP_SHARED, offset = 0 } = args;
  const { syscalls } = t.host.raw;
  const address = await syscalls.mmap(length, prot, flags, fdNumber(fd), BigInt(offset));
  if (address >= 0n) t.defer(() => syscalls.munmap(address, length));
  return answer('mmap', { length, prot, flags, offset }, address);
}

/** Anonymous memory; it is unmapped at the end. */
export async function anonymous(t: T, length: number, prot = PROT_READ | PROT_WRITE): Promise<bigint> {
  const { syscalls } = t.host.raw;
  const flags = MAP_PRIVATE | MAP_ANONYMOUS;
  const address = await syscalls.mmap(length, prot, flags, -1, 0n);
  const result = answer('mmap', { length, prot, flags }, address);
  t.defer(() => (result.ok ? syscalls.munmap(address, length) : undefined));
  return t.succeeds(result, 'mapping anonymous memory');
}

/** An eventfd: a file that is no memory. Closed at the end. */
export async function eventfd(t: T): Promise<number> {
  const { syscalls } = t.host.raw;
  const fd = t.succeeds(answer('eventfd', {}, await syscalls.eventfd(0, 0)), 'eventfd');
  t.defer(() => syscalls.close(fd));
  return fd;
}

/** An ordinary memory file of so many bytes; closed at the end. */
export async function memfd(t: T, size: number, contents?: Uint8Array): Promise<number> {
  const { syscalls } = t.host.raw;
  const fd = t.succeeds(answer('memfd_create', {}, await syscalls.memfdCreate('gmem-selftest', 0)), 'memfd_create');
  t.defer(() => syscalls.close(fd));
  t.succeeds(answer('ftruncate', { size }, await syscalls.ftruncate(fd, BigInt(size))), 'ftruncate of a memfd');
  if (contents) t.succeeds(answer('pwrite', {}, await syscalls.pwrite(fd, contents, 0n)), 'pwrite to a memfd');
  return fd;
}

/** Memory that ends with these bytes and has nothing behind it; by default it can only be read. Answers where they are. */
export async function endOfMemory(t: T, bytes: Uint8Array, prot = PROT_READ): Promise<bigint> {
  const length = Math.ceil(bytes.byteLength / PAGE_SIZE) * PAGE_SIZE;
  const contents = new Uint8Array(length);
  contents.set(bytes, length - bytes.byteLength);
  const file = await memfd(t, length, contents);
  // A page of the mapping lies beyond the file's end, so that no other mapping comes after it.
  const mapping = await mmap(t, file, { length: length + PAGE_SIZE, prot });
  return t.succeeds(mapping, 'mapping the end of memory') + BigInt(length - bytes.byteLength);
}

/** An answer of any other call. */
export const answered = <N extends number | bigint>(ret: N): Result<N> => answer('system call', {}, ret);

/** How many pages of memory are in use. Only the mock can say; on a kernel nothing is checked. */
export class MemoryUse {
  readonly #t: T;
  readonly #before: number;

  constructor(t: T) {
    this.#t = t;
    this.#before = t.host.mock?.pagesInUse ?? 0;
  }

  /** So many pages more than at first; less where negative. */
  grewBy(pages: number, what: string): void {
    const { mock } = this.#t.host;
    if (mock) this.#t.equal(mock.pagesInUse, this.#before + pages, `pages of memory in use ${what}`);
  }
}

type CreateFields = IoctlIn<typeof KVM_CREATE_GUEST_MEMFD>;

/** KVM_CREATE_GUEST_MEMFD with any fields, or a struct's bytes or address; the file is closed at the end. */
export async function create(t: T, vm: FdLike, args: CreateFields | Uint8Array | { readonly address: bigint }) {
  const outcome = await t.host.raw.tryIoctl(vm, KVM_CREATE_GUEST_MEMFD, args);
  if (outcome.ok) t.defer(() => t.host.raw.close(outcome.ret));
  return outcome;
}
