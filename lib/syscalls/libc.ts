/** libc through ffi-rs: one function that calls, with errno as a negative answer. */

import { createRequire } from 'node:module';
import { isMainThread } from 'node:worker_threads';
import { BackendUnavailableError, firstLine } from './unavailable.ts';

type FfiRs = typeof import('ffi-rs');

/**
 * An argument as C takes it: a number is an int, a bigint 64 bits wide, bytes are a pointer to them.
 * ffi-rs has wider and narrower types, but its U64 takes numbers only and rounds, and its I32 drops high bits
 * silently, so everything that may not fit 31 bits comes as a bigint.
 */
export type CArgument = number | bigint | Uint8Array;

export interface Libc {
  /** Calls a function that answers a C int, off_t, ssize_t or address, and -1 with errno. */
  call(name: string, ...args: CArgument[]): number;
  /** Where the bytes are. The answer is for another call only, while the bytes are held and unmoved. */
  addressOf(bytes: Uint8Array): bigint;
}

const LIBRARY = 'libc of this process';
const requireHere = createRequire(import.meta.url);

/** @throws BackendUnavailableError outside the main thread, and where ffi-rs is missing or does not load. */
export function openLibc(): Libc {
  const ffi = loadFfiRs();
  // An empty path is the process itself, which has libc loaded.
  ffi.open({ library: LIBRARY, path: '' });
  const { DataType } = ffi;

  const typeOf = (arg: CArgument) => {
    if (typeof arg === 'number') return DataType.I32;
    return typeof arg === 'bigint' ? DataType.BigInt : DataType.U8Array;
  };
  const load = (funcName: string, args: CArgument[], retType: number): Answer => {
    const paramsType = args.map(typeOf);
    const answer = ffi.load({ library: LIBRARY, funcName, retType, paramsType, paramsValue: args, errno: true });
    return answer as unknown as Answer;
  };
  return {
    call(name, ...args) {
      const { value, errnoCode } = load(name, args, RETURNS_INT.has(name) ? DataType.I32 : DataType.I64);
      return value === -1 ? -errnoCode : value;
    },
    addressOf: (bytes) => BigInt(load('memmove', [bytes, bytes, 0n], DataType.I64).value),
  };
}

interface Answer {
  readonly value: number;
  readonly errnoCode: number;
}

/** These answer a C int, which leaves the upper half of the register undefined; the others answer 64 bits. */
const RETURNS_INT = new Set([
  'ioctl',
  'open',
  'close',
  'fcntl',
  'memfd_create',
  'eventfd',
  'statx',
  'ftruncate',
  'fallocate',
  'munmap',
  'madvise',
]);

function loadFfiRs(): FfiRs {
  if (!isMainThread) {
    throw new BackendUnavailableError(
      'ffi',
      ['this is a worker thread, and ffi-rs keeps its libraries in memory that threads overwrite for each other'],
      ["use { backend: 'native' } here", 'use the ffi backend in the main thread'],
    );
  }
  try {
    return requireHere('ffi-rs') as FfiRs;
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND';
    throw new BackendUnavailableError(
      'ffi',
      [
        missing
          ? `the optional dependency ffi-rs, or its binary for ${process.platform}-${process.arch}, is not installed`
          : `ffi-rs does not load: ${firstLine(error)}`,
      ],
      [
        'install it: npm install ffi-rs@1.3.7 --include=optional',
        "use { backend: 'native' }, or { backend: 'mock' } for no kernel at all",
      ],
      error,
    );
  }
}
