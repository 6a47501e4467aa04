/** What the methods of a guest_memfd take, and the checks on it. */

import { type HugePageSize, hugePageBytes, hugePageSizes } from '../abi/huge-pages.ts';
import {
  checkBigint,
  checkInteger,
  checkOneOf,
  checkOptions,
  I64_MAX,
  outOfRange,
  U64_MAX,
  wrongType,
  wrongValue,
} from '../abi/invalid.ts';
import type { Dialect } from '../abi/ioctl.ts';
import { PAGE_SIZE, PROT_EXEC, PROT_READ, PROT_WRITE } from '../abi/linux.ts';
import { checkPages, flagRules, type InitialState, UnsupportedError } from '../host/index.ts';

/** Whom a page belongs to: the guest alone, or the guest and the host. */
export type PageState = InitialState;

export interface CreateGuestMemfdOptions {
  /** Bytes; a multiple of the page size. */
  readonly size: number | bigint;
  /** Whether this process may map it. Default: false. */
  readonly mmap?: boolean;
  /** The state of all pages at first. Default: 'private'. */
  readonly initially?: PageState;
  /**
   * Takes the memory from the pool of huge pages of this size, all of it now. `size` must be a multiple. Where a page
   * is shared, the huge page that holds it is split until all of it is private. Left out: single pages.
   */
  readonly hugePageSize?: HugePageSize;
  /** The kernel's flags as they are, instead of `mmap`, `initially` and `hugePageSize`; any u64. */
  readonly rawFlags?: number | bigint;
}

/** A part of the file, in bytes. Whole pages. */
export interface Range {
  readonly offset: number | bigint;
  readonly size: number | bigint;
}

export interface ConvertRange extends Range {
  readonly to: PageState;
}

export interface MapOptions {
  /** Bytes from the start of the file, whole pages. Default: 0. */
  readonly offset?: number | bigint;
  /** Bytes. Default: what is left of the file. */
  readonly size?: number | bigint;
  /** PROT_READ, PROT_WRITE (`guest-memfd/abi`) or both, which is the default. */
  readonly prot?: number;
}

const ONE_PAGE = BigInt(PAGE_SIZE);
const STATES: readonly PageState[] = ['private', 'shared'];

/** The size and the kernel's flags of a file that is asked for. */
export function checkCreate(options: CreateGuestMemfdOptions, dialect: Dialect): { size: bigint; flags: bigint } {
  checkOptions('options', options, ['size', 'mmap', 'initially', 'hugePageSize', 'rawFlags']);
  const size = checkPages('options.size', options.size, ONE_PAGE, I64_MAX);
  if (options.rawFlags !== undefined) return { size, flags: rawFlags(options) };
  return { size, flags: flagsOf(options, dialect) | hugePagesOf(options.hugePageSize, size, dialect) };
}

function hugePagesOf(wanted: HugePageSize | undefined, size: bigint, dialect: Dialect): bigint {
  if (wanted === undefined) return 0n;
  checkOneOf('options.hugePageSize', wanted, hugePageSizes);
  if (size % hugePageBytes(wanted) !== 0n) {
    throw outOfRange('options.size', `a multiple of ${hugePageBytes(wanted)}, the huge page size`, size);
  }
  const { hugePages } = flagRules[dialect];
  if (hugePages) return hugePages(wanted);
  throw new UnsupportedError(
    `a guest_memfd has no huge pages in the dialect ${dialect}; those of "1G page support for guest_memfd" (rfc-convert) do`,
  );
}

function rawFlags({ mmap, initially, hugePageSize, rawFlags }: CreateGuestMemfdOptions): bigint {
  if (mmap !== undefined || initially !== undefined || hugePageSize !== undefined) {
    throw wrongValue('options.rawFlags', 'given alone, without mmap, initially and hugePageSize', rawFlags);
  }
  return checkBigint('options.rawFlags', rawFlags, 0n, U64_MAX);
}

function flagsOf({ mmap = false, initially = 'private' }: CreateGuestMemfdOptions, dialect: Dialect): bigint {
  if (typeof mmap !== 'boolean') throw wrongType('options.mmap', 'a boolean', mmap);
  checkOneOf('options.initially', initially, STATES);
  const flags = flagRules[dialect].flags[`${mmap ? 'mapped' : 'unmapped'} ${initially}`];
  if (flags === undefined) {
    throw new UnsupportedError(
      `a guest_memfd that starts ${initially} and cannot be mapped has no flags in the dialect ${dialect}, ` +
        'where shared memory is memory that can be mapped; say mmap: true',
    );
  }
  return flags;
}

/** A range of the file: whole pages, at least one. Whether the file is that long is the kernel's to say. */
export function checkRange<R extends Range>(
  what: string,
  range: R,
  known: readonly (keyof R & string)[],
): { offset: bigint; size: bigint } {
  checkOptions(what, range, known);
  const offset = checkPages(`${what}.offset`, range.offset, 0n, I64_MAX);
  const size = checkPages(`${what}.size`, range.size, ONE_PAGE, I64_MAX);
  if (offset + size > I64_MAX) throw outOfRange(`${what}.offset + size`, `at most ${I64_MAX}`, offset + size);
  return { offset, size };
}

export function checkConvert(range: ConvertRange): { offset: bigint; size: bigint; to: PageState } {
  const { offset, size } = checkRange('range', range, ['offset', 'size', 'to']);
  return { offset, size, to: checkOneOf('range.to', range.to, STATES) };
}

export function checkMap(options: MapOptions, fileSize: bigint): { offset: bigint; size: number; prot: number } {
  checkOptions('options', options, ['offset', 'size', 'prot']);
  // Destructuring, unlike ??, gives no default for null.
  const { offset: start = 0n, prot = PROT_READ | PROT_WRITE } = options;
  const offset = checkPages('options.offset', start, 0n, I64_MAX);
  const { size: length = fileSize - offset } = options;
  const size = Number(checkBigint('options.size', length, 1n, BigInt(Number.MAX_SAFE_INTEGER)));
  return { offset, size, prot: checkInteger('options.prot', prot, 0, PROT_READ | PROT_WRITE | PROT_EXEC) };
}
