/** What mapping for a device takes, on an iommufd and in a container alike, and the checks on it. */

import { checkBigint, checkOptions, outOfRange, U64_MAX, wrongType, wrongValue } from '../abi/invalid.ts';
import { Mapping } from '../guest-memfd/index.ts';

export interface Access {
  /** The device may read. Default: true. */
  readonly readable?: boolean;
  /** The device may write. Default: true. */
  readonly writeable?: boolean;
}

/** A range of addresses as a device sees them, in bytes. */
export interface IovaRange {
  readonly iova: number | bigint;
  readonly length: number | bigint;
}

/** Both ends belong to it. */
export interface InclusiveRange {
  readonly start: number | bigint;
  readonly last: number | bigint;
}

export interface MapMemoryOptions extends Access {
  /** Memory of this process: a mapping made on this host, or any address. */
  readonly address: Mapping | number | bigint;
  /** Bytes from the start of the mapping. Default: 0. Only with a mapping. */
  readonly offset?: number | bigint;
  /** Bytes. Default: what is left of the mapping. */
  readonly length?: number | bigint;
}

/** Where memory is, and how much of it. */
export interface CheckedMemory {
  readonly length: bigint;
  /** Runs `work` with the address; a mapping stays that long. */
  place<T>(work: (address: bigint) => Promise<T>): Promise<T>;
}

export const ACCESS = ['readable', 'writeable'] as const;
export const MEMORY = ['address', 'offset', 'length', ...ACCESS] as const;

export const checkIova = (what: string, value: unknown): bigint => checkBigint(what, value, 0n, U64_MAX);
export const checkLength = (what: string, value: unknown): bigint => checkBigint(what, value, 1n, U64_MAX);

export function checkAccess({ readable = true, writeable = true }: Access): { readable: boolean; writeable: boolean } {
  if (typeof readable !== 'boolean') throw wrongType('options.readable', 'a boolean', readable);
  if (typeof writeable !== 'boolean') throw wrongType('options.writeable', 'a boolean', writeable);
  if (!readable && !writeable) throw wrongValue('options.writeable', 'true where options.readable is false', writeable);
  return { readable, writeable };
}

export function checkMemory({ address, offset, length }: MapMemoryOptions): CheckedMemory {
  if (address instanceof Mapping) return insideMapping(address, offset, length);
  if (offset !== undefined) throw wrongValue('options.offset', 'left out unless options.address is a mapping', offset);
  const at = checkBigint('options.address', address, 0n, U64_MAX);
  return { length: checkLength('options.length', length), place: (work) => work(at) };
}

function insideMapping(mapping: Mapping, from: number | bigint = 0n, length?: number | bigint): CheckedMemory {
  const size = BigInt(mapping.size);
  const offset = checkBigint('options.offset', from, 0n, size - 1n);
  const bytes = checkLength('options.length', length === undefined ? size - offset : length);
  if (offset + bytes > size) {
    throw outOfRange('options.offset and options.length', `within the ${size} bytes of the mapping`, {
      offset,
      length,
    });
  }
  return { length: bytes, place: (work) => Mapping.use(mapping, (address) => work(address + offset)) };
}

export function checkIovaRange(what: string, range: IovaRange): { iova: bigint; length: bigint } {
  const { iova, length } = checkOptions<IovaRange>(what, range, ['iova', 'length']);
  return { iova: checkIova(`${what}.iova`, iova), length: checkLength(`${what}.length`, length) };
}

export function checkInclusive(what: string, ranges: readonly InclusiveRange[]): { start: bigint; last: bigint }[] {
  if (!Array.isArray(ranges)) throw wrongType(what, 'a list of ranges', ranges);
  return (ranges as readonly InclusiveRange[]).map((range, index) => {
    const at = `${what}[${index}]`;
    const { start, last } = checkOptions<InclusiveRange>(at, range, ['start', 'last']);
    return { start: checkIova(`${at}.start`, start), last: checkIova(`${at}.last`, last) };
  });
}
