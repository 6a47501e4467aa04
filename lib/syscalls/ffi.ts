/**
 * The backend without a compiler: libc called through ffi-rs. Every call is made at once and on the main thread, so
 * it is for where the addon is not to be had, and for a second opinion on the addon.
 */

import { requestSize } from '../abi/ioctl.ts';
import {
  AT_EMPTY_PATH,
  EFD_CLOEXEC,
  F_DUPFD_CLOEXEC,
  F_SETFD,
  FD_CLOEXEC,
  MFD_CLOEXEC,
  O_CLOEXEC,
  STATX_BASIC_STATS,
} from '../abi/linux.ts';
import { afterDeath } from './after-death.ts';
import { checkBlocking, checkFd, isAddress } from './arguments.ts';
import { type BlockingCalls, SET } from './blocking.ts';
import { checkRace } from './check-race.ts';
import { type Checks, createChecks } from './checks.ts';
import { type CArgument, type Libc, openLibc } from './libc.ts';
import { Mappings } from './mappings.ts';
import { pathCalls } from './paths.ts';
import { ScratchCopy } from './scratch-copy.ts';
import { CALL_NAMES, type Calls, type IoctlArg, type ManyResult, type Pointer, type Syscalls } from './seam.ts';
import { cString, decodeStat, STAT_BYTES } from './stat.ts';
import { withTwins } from './twins.ts';

/** What open(2) is given for a file it makes. */
const PRIVATE_FILE = 0o600;

/** @throws BackendUnavailableError when ffi-rs is missing, and outside the main thread. */
export function createFfi(): Syscalls {
  const libc = openLibc();
  const mappings = new Mappings();
  const scratch = new ScratchCopy(libc);
  const checks = createChecks(mappings, (address, bytes) => scratch.copy(bytes, address, bytes.byteLength));
  return withTwins(checked(createCalls(libc, mappings, scratch), checks), {
    backend: 'ffi',
    description: 'libc through ffi-rs',
    dispose: () => scratch.close(),
    race: async (programs, limits) => {
      checkRace(programs, limits, mappings);
      throw Object.assign(new Error('races need threads that make calls, and ffi-rs works on the main thread only'), {
        code: 'ERR_UNSUPPORTED' as const,
      });
    },
    ...createBlocking(libc, mappings, scratch),
    ...pathCalls,
    afterDeath,
  });
}

/** Made at once, on the main thread, which waits for it: see `interrupt` in the seam. */
function createBlocking(libc: Libc, mappings: Mappings, scratch: ScratchCopy): BlockingCalls {
  /** By fd, of those whose answer nobody has seen yet. */
  const flags = new Map<number, bigint>();
  return {
    ioctlBlocking: async (fd, request, flag) => {
      checkBlocking(fd, request, flag);
      mappings.checkInside(flag.address, SET.byteLength);
      flags.set(fd, flag.address);
      queueMicrotask(() => flags.delete(fd));
      return libc.call('ioctl', fd, wide(request), 0n);
    },
    interrupt: (fd) => {
      const flag = flags.get(checkFd(fd));
      if (flag === undefined) return;
      mappings.checkInside(flag, SET.byteLength);
      scratch.copy(flag, SET, SET.byteLength);
    },
  };
}

/** The same calls, each behind the check of its arguments. */
function checked(calls: Calls, checks: Checks): Calls {
  const guarded: Record<string, unknown> = {};
  for (const name of CALL_NAMES) {
    const check = checks[name] as (...args: unknown[]) => void;
    const call = calls[name] as (...args: unknown[]) => unknown;
    guarded[name] = (...args: unknown[]) => {
      check(...args);
      return call(...args);
    };
  }
  return guarded as unknown as Calls;
}

/** ffi-rs takes 64 bits as a signed number. */
const wide = (value: number | bigint): bigint => BigInt.asIntN(64, BigInt(value));
/** Likewise 32: the bits stay. */
const int = (value: number): number => value | 0;

function createCalls(libc: Libc, mappings: Mappings, scratch: ScratchCopy): Calls {
  const ioctl: Calls['ioctl'] = (fd, request, arg, pointers = []) =>
    pointers.length > 0
      ? patchedIoctl(libc, fd, request, arg as Uint8Array, pointers)
      : libc.call('ioctl', fd, wide(request), cArgument(arg));
  const transfer = (name: string, fd: number, bytes: Uint8Array, ...offset: bigint[]): number =>
    libc.call(name, fd, bytes, wide(bytes.byteLength), ...offset.map(wide));

  return {
    ioctl,
    ioctlFd: (fd, request, arg, pointers) => {
      const made = ioctl(fd, request, arg, pointers);
      if (made >= 0) libc.call('fcntl', made, F_SETFD, FD_CLOEXEC);
      return made;
    },
    ioctlMany: (fd, request, args) => manyIoctls(libc, fd, request, args),
    open: (path, flags) => libc.call('open', cString(path), int(flags | O_CLOEXEC), PRIVATE_FILE),
    close: (fd) => libc.call('close', fd),
    dup: (fd) => libc.call('fcntl', fd, F_DUPFD_CLOEXEC, 0),
    memfdCreate: (name, flags) => libc.call('memfd_create', cString(name), int(flags | MFD_CLOEXEC)),
    eventfd: (initial, flags) => libc.call('eventfd', int(initial), int(flags | EFD_CLOEXEC)),
    fstat: (fd) => {
      const bytes = new Uint8Array(STAT_BYTES);
      const result = libc.call('statx', fd, cString(''), AT_EMPTY_PATH, STATX_BASIC_STATS, bytes);
      return result < 0 ? result : decodeStat(bytes);
    },
    ftruncate: (fd, length) => libc.call('ftruncate', fd, wide(length)),
    fallocate: (fd, mode, offset, length) => libc.call('fallocate', fd, int(mode), wide(offset), wide(length)),
    read: (fd, bytes) => transfer('read', fd, bytes),
    write: (fd, bytes) => transfer('write', fd, bytes),
    pread: (fd, bytes, offset) => transfer('pread', fd, bytes, offset),
    pwrite: (fd, bytes, offset) => transfer('pwrite', fd, bytes, offset),
    mmap: (length, prot, flags, fd, offset) => {
      const address = BigInt(libc.call('mmap', 0n, wide(length), int(prot), int(flags), fd, wide(offset)));
      if (address >= 0n) mappings.add(address, length);
      return address;
    },
    munmap: (address, length) => {
      const result = libc.call('munmap', wide(address), wide(length));
      if (result >= 0) mappings.remove(address, length);
      return result;
    },
    madvise: (address, length, advice) => libc.call('madvise', wide(address), wide(length), int(advice)),
    copyIn: (address, bytes) => scratch.copy(address, bytes, bytes.byteLength),
    copyOut: (address, bytes) => scratch.copy(bytes, address, bytes.byteLength),
  };
}

function cArgument(arg: IoctlArg): CArgument {
  if (isAddress(arg)) return wide(arg.address);
  return typeof arg === 'number' ? wide(arg) : (arg as Uint8Array);
}

/** The kernel is given a copy of the struct, so that no buffer's address ever stands where the caller could read it. */
function patchedIoctl(libc: Libc, fd: number, request: number, arg: Uint8Array, pointers: readonly Pointer[]): number {
  const own = Uint8Array.from(arg);
  const view = new DataView(own.buffer);
  for (const { at, to } of pointers) view.setBigUint64(at, libc.addressOf(to), true);
  const result = libc.call('ioctl', fd, wide(request), own);
  for (const { at } of pointers) own.set(arg.subarray(at, at + 8), at);
  arg.set(own);
  return result;
}

function manyIoctls(libc: Libc, fd: number, request: number, args: Uint8Array | BigUint64Array): ManyResult {
  const size = requestSize(request);
  const count = size > 0 ? args.byteLength / size : args.length;
  let result = 0;
  for (let completed = 0; completed < count; completed++) {
    const arg = args instanceof Uint8Array ? args.subarray(completed * size, (completed + 1) * size) : args[completed];
    result = libc.call('ioctl', fd, wide(request), typeof arg === 'bigint' ? wide(arg) : (arg as Uint8Array));
    if (result < 0) return { completed, result };
  }
  return { completed: count, result };
}
