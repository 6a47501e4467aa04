/**
 * Finding an I/O address where the caller leaves it to the kernel: drivers/iommu/iommufd/io_pagetable.c,
 * iopt_alloc_iova(). The lowest place that fits, aligned as far as that lets large pages be used, never 0.
 */

import { errno } from '../../../abi/errno.ts';
import { U64_MAX } from '../../../abi/invalid.ts';
import { PAGE_SIZE } from '../../../abi/linux.ts';
import type { Interval, IntervalMap } from './interval-map.ts';
import type { ReservedRanges } from './reserved.ts';

const PAGE = BigInt(PAGE_SIZE);
/** HPAGE_SIZE, with CONFIG_TRANSPARENT_HUGEPAGE. */
const HUGE_PAGE = 0x20_0000n;

interface Place {
  readonly length: bigint;
  readonly alignment: bigint;
  /** The low bits of the address, which are those of the memory. */
  readonly offset: bigint;
}

export interface Space {
  readonly areas: IntervalMap<Interval>;
  readonly allowed: IntervalMap<Interval>;
  readonly reserved: ReservedRanges;
  readonly alignment: bigint;
}

export class AddressAllocator {
  readonly #space: Space;
  /** For the kind of place asked for last: everything below is taken, as long as nothing is given back. */
  #last: { place: Place; above: bigint } | undefined;

  constructor(space: Space) {
    this.#space = space;
  }

  /** Addresses have come free: the search starts from the bottom again. */
  forget(): void {
    this.#last = undefined;
  }

  /** An address for `length` bytes of memory at `memory`, or -errno. */
  find(memory: bigint, length: bigint): bigint {
    if (length === 0n || length >= U64_MAX / 2n) return BigInt(-errno.EOVERFLOW);
    let alignment = roundUpToPower(length);
    if (memory !== 0n) alignment = min(alignment, memory & -memory);
    alignment = min(alignment, HUGE_PAGE);
    if (alignment < this.#space.alignment) return BigInt(-errno.EINVAL);
    const place = { length, alignment, offset: memory % PAGE };
    const found = this.#search(place);
    if (found === undefined) return BigInt(-errno.ENOSPC);
    this.#last = { place, above: found + length };
    return found;
  }

  #search(place: Place): bigint | undefined {
    const above = this.#last && isSame(this.#last.place, place) ? this.#last.above : 0n;
    for (const span of this.#allowedSpans()) {
      const start = placeIn(span, place);
      if (start === undefined) continue;
      for (const hole of this.#holes(start > above ? start : above, span.last)) {
        const found = placeIn(hole, place);
        if (found !== undefined) return found;
      }
    }
    return undefined;
  }

  *#allowedSpans(): Generator<Interval> {
    const whole = { start: PAGE, last: U64_MAX - PAGE };
    if (this.#space.allowed.size === 0) {
      yield whole;
      return;
    }
    for (const { start, last } of this.#space.allowed.within(whole.start, whole.last)) {
      yield { start: start > whole.start ? start : whole.start, last: min(last, whole.last) };
    }
  }

  /** What neither a reserved range nor an area has of [start, last]. */
  *#holes(start: bigint, last: bigint): Generator<Interval> {
    for (const hole of this.#space.reserved.holes(start, last)) {
      let from = hole.start;
      for (const area of this.#space.areas.within(hole.start, hole.last)) {
        if (area.start > from) yield { start: from, last: area.start - 1n };
        from = area.last + 1n;
      }
      if (from <= hole.last) yield { start: from, last: hole.last };
    }
  }
}

/** The lowest address for it in a span. A span that ends where the place would begin is passed over, as the kernel does. */
function placeIn({ start, last }: Interval, { length, alignment, offset }: Place): bigint | undefined {
  const aligned = ((start + alignment - 1n) & -alignment) | offset;
  return aligned <= U64_MAX && aligned < last && last - aligned >= length - 1n ? aligned : undefined;
}

const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);

const isSame = (a: Place, b: Place): boolean =>
  a.length === b.length && a.alignment === b.alignment && a.offset === b.offset;

function roundUpToPower(value: bigint): bigint {
  const power = 1n << BigInt(value.toString(2).length - 1);
  return power < value ? power << 1n : power;
}
