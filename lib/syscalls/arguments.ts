/**
 * What must hold of a call's arguments before a kernel, real or mocked, may see them. One copy for all backends;
 * the addon repeats only what memory safety needs.
 */

import {
  checkBigint,
  checkBytes,
  checkInteger,
  I64_MAX,
  I64_MIN,
  outOfRange,
  tooSmall,
  wrongType,
} from '../abi/invalid.ts';
import { requestSize } from '../abi/ioctl.ts';
import { MAP_FIXED, MAP_FIXED_NOREPLACE } from '../abi/linux.ts';
import { pointerExtent } from '../abi/pointer-extents.ts';
import { claimedSize, isSizePrefixed, NO_MEMORY_BELOW } from '../abi/size-prefixed.ts';
import { hasTrailingArray, trailingSize } from '../abi/trailing-arrays.ts';
import type { Address, IoctlArg, Pointer } from './seam.ts';

const INT_MAX = 0x7fff_ffff;
const U32_MAX = 0xffff_ffff;

export const checkFd = (fd: number): number => checkInteger('fd', fd, 0, INT_MAX);
/** mmap takes -1 for anonymous memory. */
export const checkMapFd = (fd: number): number => checkInteger('fd', fd, -1, INT_MAX);
export const checkFlags = (what: string, flags: number): number => checkInteger(what, flags, 0, U32_MAX);
export const checkLength = (length: number): number => checkInteger('length', length, 0, Number.MAX_SAFE_INTEGER);
/** loff_t: signed, so that a test can hand the kernel a negative one. */
export const checkOffset = (what: string, offset: bigint): bigint => checkBigint(what, offset, I64_MIN, I64_MAX);
export const checkRequest = (request: number): number => checkInteger('request', request, 0, U32_MAX);

export function checkMapFlags(flags: number): number {
  checkFlags('flags', flags);
  if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
    throw outOfRange('flags', 'without MAP_FIXED: it could replace memory of this process', flags);
  }
  return flags;
}

/** A path or a memfd's name: text that C can hold. */
export function checkText(what: string, text: string): string {
  if (typeof text !== 'string') throw wrongType(what, 'a string', text);
  if (text.includes('\0')) throw outOfRange(what, 'text without a NUL', text);
  return text;
}

export const isAddress = (arg: unknown): arg is Address =>
  typeof arg === 'object' && arg !== null && typeof (arg as Address).address === 'bigint';

/** An ioctl's argument: the kernel may touch _IOC_SIZE(request) bytes of it and must find all of them. */
export function checkIoctlArg(request: number, arg: IoctlArg): IoctlArg {
  checkRequest(request);
  if (typeof arg === 'number') return checkPlainArg(request, arg);
  if (arg instanceof Uint8Array) return checkStructArg(request, arg);
  if (!isAddress(arg)) throw wrongType('arg', 'a Uint8Array, a number or { address }', arg);
  if (hasTrailingArray(request))
    throw outOfRange('arg', 'a Uint8Array, since the struct is longer than the request tells', arg);
  return arg;
}

function checkPlainArg(request: number, arg: number): number {
  const size = requestSize(request);
  if (size > 0 && arg !== 0) {
    throw outOfRange('arg', `a buffer of ${size} bytes (or 0, a null pointer), since the request has a struct`, arg);
  }
  return checkInteger('arg', arg, 0, isSizePrefixed(request) ? NO_MEMORY_BELOW - 1 : Number.MAX_SAFE_INTEGER);
}

function checkStructArg(request: number, arg: Uint8Array): Uint8Array {
  checkBytes('arg', arg);
  const fixed = isSizePrefixed(request) ? claimedSize(request, arg) : requestSize(request);
  const size = fixed + trailingSize(request, arg);
  if (arg.byteLength < size) throw tooSmall('arg', size, arg.byteLength);
  return arg;
}

/** A blocking ioctl: its argument is always 0, so there can be no struct. Where the flag is, the backend checks. */
export function checkBlocking(fd: number, request: number, flag: Address): void {
  checkFd(fd);
  const size = requestSize(checkRequest(request));
  if (size > 0) throw outOfRange('request', 'one without a struct', request);
  if (!isAddress(flag)) throw wrongType('flag', '{ address }', flag);
}

/**
 * Pointer fix-ups: each inside the struct, each to live memory, as much of it as the kernel may touch by the struct's
 * own account, and only where there is a struct to patch.
 */
export function checkPointers(
  request: number,
  arg: IoctlArg,
  pointers: readonly Pointer[] | undefined,
): readonly Pointer[] {
  if (pointers === undefined) return [];
  if (!Array.isArray(pointers)) throw wrongType('pointers', 'a list of { at, to }', pointers);
  if (pointers.length > 0 && !(arg instanceof Uint8Array))
    throw wrongType('arg', 'a Uint8Array when pointers are given', arg);
  for (const { at, to } of pointers as readonly Pointer[]) {
    checkInteger('pointer.at', at, 0, (arg as Uint8Array).byteLength - 8);
    const extent = pointerExtent(request, arg as Uint8Array, at);
    if (checkBytes('pointer.to', to).byteLength < extent) throw tooSmall('pointer.to', extent, to.byteLength);
  }
  return pointers;
}

/** ioctlMany's arguments: whole structs, or plain values for a request that has none. */
export function checkMany(request: number, args: Uint8Array | BigUint64Array): number {
  const size = requestSize(checkRequest(request));
  if (size === 0) {
    if (!(args instanceof BigUint64Array))
      throw wrongType('args', 'a BigUint64Array, since the request has no struct', args);
    if (isSizePrefixed(request)) for (const arg of args) checkPlainArg(request, Number(arg));
    return args.length;
  }
  checkBytes('args', args);
  if (hasTrailingArray(request)) throw outOfRange('request', 'one that tells the size of its struct', request);
  if (args.byteLength % size !== 0)
    throw outOfRange('args', `a whole number of structs of ${size} bytes`, args.byteLength);
  return args.byteLength / size;
}
