/**
 * The seam: every system call the package makes, in fds, request numbers and bytes.
 * Three backends answer it (`native.ts`, `ffi.ts`, `../mock/`), and above it nobody can tell which.
 *
 * A kernel's refusal is a value here: calls answer -errno. Only wrong use throws, before any system call:
 * TypeError and RangeError with a code (`../abi/invalid.ts`), and `ERR_CALLS_IN_FLIGHT` (see `Syscalls`).
 */

import type { RaceLimits, RaceProgram, RaceResult } from './race.ts';

/** "The u64 at offset `at` of the struct points to this buffer": no JavaScript ever sees a buffer's address. */
export interface Pointer {
  readonly at: number;
  readonly to: Uint8Array;
}

/**
 * An address inside a mapping that this backend made: a struct that lives in guest memory or in read-only memory.
 * The mapping must hold the whole struct, and cannot be unmapped while the call is in flight (`ERR_CALLS_IN_FLIGHT`).
 */
export interface Address {
  readonly address: bigint;
}

/**
 * What an ioctl is given. A buffer must hold _IOC_SIZE(request) bytes, and for iommufd and VFIO, whose structs tell
 * their own size, as many as it tells. A number is passed as it is, so for a request with a struct only numbers are
 * allowed that cannot be an address: 0 (a null pointer, which the kernel answers with EFAULT), and for iommufd and VFIO,
 * whose request numbers do not tell whether there is a struct, those below 64 Ki.
 */
export type IoctlArg = Uint8Array | number | Address;

/** How far a run of calls got: `completed` of them succeeded; `result` is the last answer, -errno where it stopped. */
export interface ManyResult {
  readonly completed: number;
  readonly result: number;
}

export interface Stat {
  readonly ino: bigint;
  readonly mode: number;
  readonly nlink: number;
  /** Bytes. */
  readonly size: bigint;
  readonly blksize: number;
  /** Units of 512 bytes. */
  readonly blocks: bigint;
}

/**
 * The calls, each once, in their synchronous form. Lengths and offsets are in bytes.
 * All answer >= 0, or -errno.
 */
export interface Calls {
  ioctl(fd: number, request: number, arg: IoctlArg, pointers?: readonly Pointer[]): number;
  /** An ioctl whose answer is a new fd: close-on-exec is set, and the backend closes it if this thread dies first. */
  ioctlFd(fd: number, request: number, arg: IoctlArg, pointers?: readonly Pointer[]): number;
  /**
   * One request over many arguments in one crossing; stops at the first error.
   * `args` is an array of structs laid end to end, or, for a request without a struct, the plain values.
   */
  ioctlMany(fd: number, request: number, args: Uint8Array | BigUint64Array): ManyResult;

  open(path: string, flags: number): number;
  /** Closes after every call in flight on the fd. */
  close(fd: number): number;
  /** The copy is close-on-exec. */
  dup(fd: number): number;
  memfdCreate(name: string, flags: number): number;
  eventfd(initial: number, flags: number): number;
  fstat(fd: number): Stat | number;
  ftruncate(fd: number, length: bigint): number;
  /** `offset` and `length` are signed, as loff_t is: negative ones reach the kernel. */
  fallocate(fd: number, mode: number, offset: bigint, length: bigint): number;
  read(fd: number, bytes: Uint8Array): number;
  write(fd: number, bytes: Uint8Array): number;
  pread(fd: number, bytes: Uint8Array, offset: bigint): number;
  pwrite(fd: number, bytes: Uint8Array, offset: bigint): number;

  /** The kernel chooses the address; MAP_FIXED is refused with a RangeError. A negative answer is -errno. */
  mmap(length: number, prot: number, flags: number, fd: number, offset: bigint): bigint;
  /** Whole mappings only: `address` and `length` as mmap had them. No later call may use it, also while it waits. */
  munmap(address: bigint, length: number): number;
  madvise(address: bigint, length: number, advice: number): number;
  /**
   * Copies into mapped memory, and never raises SIGBUS: answers how many bytes arrived before the first page that
   * cannot be touched, or -EFAULT when that is the first one. The range must lie in one mapping of this backend.
   */
  copyIn(address: bigint, bytes: Uint8Array): number;
  /** Copies out of mapped memory; as copyIn. */
  copyOut(address: bigint, bytes: Uint8Array): number;
}

export type CallName = keyof Calls;

/** Calls on paths, of which nothing stays open: how sysfs is looked over. They have no order among others. */
export interface PathCalls {
  /** The names in a directory, without . and .., in no particular order; or -errno. */
  readDirectory(path: string): readonly string[] | number;
  /** What a symbolic link says, as it stands there; or -errno. */
  readLink(path: string): string | number;
}

/** The asynchronous form of every call. */
type Async<C> = {
  [Name in keyof C]: C[Name] extends (...args: infer Args) => infer Answer ? (...args: Args) => Promise<Answer> : never;
};
/** The synchronous twin of every call, under Node's naming convention. */
type Sync<C> = { [Name in keyof C & string as `${Name}Sync`]: C[Name] };

export type AsyncCalls = Async<Calls>;
export type SyncCalls = Sync<Calls>;

/** One write(2) of a text to a file that is there. */
export interface FileWrite {
  readonly path: string;
  readonly text: string;
}

/**
 * Calls on one fd keep their order, and so do the calls on mapped memory (madvise, munmap, copyIn, copyOut) among
 * themselves. A sync call cannot wait for its asynchronous predecessors: while one is in flight on the same fd it
 * throws `ERR_CALLS_IN_FLIGHT`.
 *
 * Buffers belong to the call until it completes: they are kept alive, and must be neither changed nor transferred.
 * The kernel works on an ioctl's own struct or on a copy of it that is copied back at the end.
 */
export interface Syscalls extends AsyncCalls, SyncCalls, Async<PathCalls>, Sync<PathCalls> {
  readonly backend: 'native' | 'ffi' | 'mock';
  /** One line for reports: which binary, which library, which profile. */
  readonly description: string;
  /** Gives back what the backend itself holds; fds and mappings of the caller stay the caller's. */
  dispose(): void;

  /**
   * An ioctl that may block without bound, such as KVM_RUN, with the argument 0: made on a thread that belongs to the
   * fd, so that it keeps none of the pool's from others and the kernel always sees the fd run by the same thread.
   * Other calls on the fd wait for it, as for any call; the thread ends when the fd is closed.
   *
   * `flag` lies in a mapping made here, which stays mapped meanwhile: the byte that `interrupt` sets,
   * kvm_run.immediate_exit. A request with a struct is a RangeError.
   */
  ioctlBlocking(fd: number, request: number, flag: Address): Promise<number>;
  /**
   * Makes the first blocking ioctl on this fd come back with -EINTR, also one that waits for its turn: sets its flag
   * to 1 and sends its thread a signal. One that has already come back, or none at all, is fine; the flag is set until
   * the answer is delivered, and stays set until somebody clears it.
   * ffi makes such ioctls on the only thread it has, so nobody can interrupt them there, and only the flag is set.
   */
  interrupt(fd: number): void;

  /**
   * Has files written when this process is gone, however it ends and with all its fds closed: for what it borrowed and
   * could not give back. In order; a write that fails keeps the next from nothing. The answer calls it off.
   * On a kernel a shell waits for it, in a session of its own so that Ctrl-C does not reach it; the mock's process
   * takes its kernel along, so nothing is left to write to.
   */
  afterDeath(writes: readonly FileWrite[]): () => void;

  /**
   * Runs programs against each other and answers what each worker did, or -errno when one of the fds is not open. The
   * threads work on copies of the fds and are named gmem-race-N; the memory that they copy to and from stays mapped
   * meanwhile. The mock has one thread, which makes the steps of all in an order that the seed decides; ffi has none to
   * spare and throws `ERR_UNSUPPORTED`.
   */
  race(programs: readonly RaceProgram[], limits: RaceLimits): Promise<readonly RaceResult[] | number>;
}

export const CALL_NAMES = [
  'ioctl',
  'ioctlFd',
  'ioctlMany',
  'open',
  'close',
  'dup',
  'memfdCreate',
  'eventfd',
  'fstat',
  'ftruncate',
  'fallocate',
  'read',
  'write',
  'pread',
  'pwrite',
  'mmap',
  'munmap',
  'madvise',
  'copyIn',
  'copyOut',
] as const satisfies readonly CallName[];
