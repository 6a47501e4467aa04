/** What a GuestRam is asked for, and the checks on it. */

import { type HugePageSize, hugePageSizes } from '../abi/huge-pages.ts';
import { checkOneOf, checkOptions, I64_MAX, outOfRange, U64_MAX, wrongType } from '../abi/invalid.ts';
import { PAGE_SIZE } from '../abi/linux.ts';
import type { PageState } from '../guest-memfd/index.ts';
import { checkPages } from '../host/index.ts';
import { Vm } from '../kvm/index.ts';

/** Where the guest sees a part of the memory. */
export interface RamRegion {
  /** The memory region's slot, from 0. */
  readonly slot: number;
  /** A guest-physical address; whole pages. Devices use the same address. */
  readonly guestPhysAddr: number | bigint;
  /** Bytes from the start of the memory; whole pages. Default: 0. */
  readonly offset?: number | bigint;
  /** Bytes; whole pages. Default: all from `offset` on. */
  readonly size?: number | bigint;
}

export interface GuestRamOptions {
  /** Bytes; whole pages. */
  readonly size: number | bigint;
  /** At least one; no two may share a part of the memory. */
  readonly regions: readonly RamRegion[];
  /** The state of all pages at first. Default: 'private'. */
  readonly initially?: PageState;
  /**
   * Private memory in huge pages of this size, of which `size` must be a multiple; as for `vm.createGuestMemfd()`.
   * Conversions are of single pages all the same. Left out: single pages.
   */
  readonly hugePageSize?: HugePageSize;
}

export interface CheckedRamRegion {
  readonly slot: number;
  readonly guestPhysAddr: bigint;
  readonly offset: bigint;
  readonly size: bigint;
}

export interface CheckedRam {
  readonly size: bigint;
  readonly regions: readonly CheckedRamRegion[];
  readonly initially: PageState;
  readonly hugePageSize: HugePageSize | undefined;
}

const ONE_PAGE = BigInt(PAGE_SIZE);
const STATES: readonly PageState[] = ['private', 'shared'];

export function checkVm(vm: Vm): void {
  if (!(vm instanceof Vm)) throw wrongType('vm', 'a Vm', vm);
}

export function checkRam(options: GuestRamOptions): CheckedRam {
  checkOptions('options', options, ['size', 'regions', 'initially', 'hugePageSize']);
  const { regions, initially = 'private', hugePageSize } = options;
  const size = checkPages('options.size', options.size, ONE_PAGE, I64_MAX);
  if (!Array.isArray(regions) || regions.length === 0) {
    throw wrongType('options.regions', 'a list of at least one region', regions);
  }
  const checked = regions.map((region, i) => checkRegion(`options.regions[${i}]`, region, size));
  checkApart(checked);
  if (hugePageSize !== undefined) checkOneOf('options.hugePageSize', hugePageSize, hugePageSizes);
  return { size, regions: checked, initially: checkOneOf('options.initially', initially, STATES), hugePageSize };
}

function checkRegion(what: string, region: RamRegion, memory: bigint): CheckedRamRegion {
  checkOptions(what, region, ['slot', 'guestPhysAddr', 'offset', 'size']);
  // Destructuring, unlike ??, gives no default for null.
  const { offset: from = 0n } = region;
  const offset = checkPages(`${what}.offset`, from, 0n, memory - ONE_PAGE);
  const { size: bytes = memory - offset } = region;
  const size = checkPages(`${what}.size`, bytes, ONE_PAGE, memory - offset);
  const guestPhysAddr = checkPages(`${what}.guestPhysAddr`, region.guestPhysAddr, 0n, U64_MAX - size);
  return { slot: region.slot, guestPhysAddr, offset, size };
}

/** A page that two regions had would be two pieces of DMA memory with one state. */
function checkApart(regions: readonly CheckedRamRegion[]): void {
  const sorted = regions.toSorted((a, b) => (a.offset < b.offset ? -1 : 1));
  for (const [i, { offset }] of sorted.entries()) {
    const before = sorted[i - 1];
    if (before && before.offset + before.size > offset) {
      throw outOfRange('options.regions', 'parts of the memory that do not overlap', offset);
    }
  }
}
