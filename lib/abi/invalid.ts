/**
 * Wrong use of this package: a TypeError or RangeError with one of Node's own codes, raised before any system call.
 * A kernel's refusal is never one of these; see KernelError in `host/`.
 */

import { inspect } from 'node:util';

export type InvalidCode =
  | 'ERR_INVALID_ARG_TYPE'
  | 'ERR_INVALID_ARG_VALUE'
  | 'ERR_OUT_OF_RANGE'
  | 'ERR_BUFFER_OUT_OF_BOUNDS';

/** A TypeError: the argument is of the wrong kind. */
export function wrongType(what: string, expected: string, got: unknown): TypeError & { code: InvalidCode } {
  return Object.assign(new TypeError(`${what} must be ${expected}; got ${show(got)}`), {
    code: 'ERR_INVALID_ARG_TYPE' as const,
  });
}

/** A TypeError: the argument is of the right kind, but no such thing exists (a misspelt option, an unknown name). */
export function wrongValue(what: string, expected: string, got: unknown): TypeError & { code: InvalidCode } {
  return Object.assign(new TypeError(`${what} must be ${expected}; got ${show(got)}`), {
    code: 'ERR_INVALID_ARG_VALUE' as const,
  });
}

/** A RangeError: the argument is a number that cannot be meant. */
export function outOfRange(what: string, expected: string, got: unknown): RangeError & { code: InvalidCode } {
  return Object.assign(new RangeError(`${what} must be ${expected}; got ${show(got)}`), {
    code: 'ERR_OUT_OF_RANGE' as const,
  });
}

/** A RangeError: the buffer is smaller than what the kernel would read or write. */
export function tooSmall(what: string, needed: number, got: number): RangeError & { code: InvalidCode } {
  return Object.assign(new RangeError(`${what} must hold at least ${needed} bytes; it holds ${got}`), {
    code: 'ERR_BUFFER_OUT_OF_BOUNDS' as const,
  });
}

function show(value: unknown): string {
  return inspect(value, { depth: 0, maxStringLength: 60, maxArrayLength: 4, breakLength: Infinity });
}

/** A whole number within [min, max]. */
export function checkInteger(what: string, value: unknown, min: number, max: number): number {
  if (typeof value !== 'number') throw wrongType(what, 'a number', value);
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw outOfRange(what, `a whole number from ${min} to ${max}`, value);
  }
  return value;
}

/** A 64-bit quantity given as a bigint or as a number that is exact. */
export function checkBigint(what: string, value: unknown, min: bigint, max: bigint): bigint {
  if (typeof value !== 'number' && typeof value !== 'bigint') throw wrongType(what, 'a number or a bigint', value);
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw outOfRange(what, 'a bigint, or a number that is a safe integer', value);
  }
  const big = BigInt(value);
  if (big < min || big > max) throw outOfRange(what, `from ${min} to ${max}`, value);
  return big;
}

export const U64_MAX = 0xffff_ffff_ffff_ffffn;
export const I64_MIN = -0x8000_0000_0000_0000n;
export const I64_MAX = 0x7fff_ffff_ffff_ffffn;

export const checkU64 = (what: string, value: unknown): bigint => checkBigint(what, value, 0n, U64_MAX);

/** A Uint8Array (a Buffer is one) whose memory is still there: a transferred ArrayBuffer leaves an array of length 0. */
export function checkBytes(what: string, value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array)) throw wrongType(what, 'a Uint8Array', value);
  if (value.byteLength === 0 && isDetached(value)) throw wrongType(what, 'a Uint8Array that is not detached', value);
  return value;
}

function isDetached(bytes: Uint8Array): boolean {
  try {
    new Uint8Array(bytes.buffer, 0, 0);
    return false;
  } catch {
    return true;
  }
}

/** An options object with known keys only, so that a misspelt one is found here and not by a puzzled reader of results. */
export function checkOptions<T extends object>(what: string, value: unknown, known: readonly (keyof T & string)[]): T {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrongType(what, 'an object', value);
  for (const key of Object.keys(value)) {
    if (!(known as readonly string[]).includes(key))
      throw wrongValue(`a key of ${what}`, `one of ${known.join(', ')}`, key);
  }
  return value as T;
}

/** One of a fixed set of words. */
export function checkOneOf<T extends string>(what: string, value: unknown, words: readonly T[]): T {
  if (!(words as readonly unknown[]).includes(value)) {
    throw wrongValue(what, `one of ${words.map((word) => `'${word}'`).join(', ')}`, value);
  }
  return value as T;
}
