/**
 * What an IOAS maps: areas, and the domains (hardware page tables) and in-kernel users that see them.
 * Source: drivers/iommu/iommufd/io_pagetable.c. Answers are 0 or -errno, in the kernel's order of checks.
 */

import { errno } from '../../../abi/errno.ts';
import { U64_MAX } from '../../../abi/invalid.ts';
import { PAGE_SIZE } from '../../../abi/linux.ts';
import type { Shareability } from '../../guest-memfd/index.ts';
import type { PageRange } from '../../ranges.ts';
import type { Domain } from '../hardware/domain.ts';
import { type HoldsOff, holdOff } from '../hold-off.ts';
import type { Pages } from '../pages/pages.ts';
import { AddressAllocator } from './allocate.ts';
import { type Access, Area } from './area.ts';
import { fillArea } from './fill-area.ts';
import { type Interval, IntervalMap } from './interval-map.ts';
import { ReservedRanges } from './reserved.ts';

const PAGE = BigInt(PAGE_SIZE);

/** A piece of memory to be mapped. */
export interface Slice {
  readonly pages: Pages;
  readonly startByte: bigint;
  readonly length: bigint;
}

/** An in-kernel user of an IOAS: the test driver's access objects, an emulated device. */
export interface InKernelUser {
  readonly alignment: bigint;
  /** Lets go of every page in the range. */
  unmap(start: bigint, length: bigint): void;
}

/** What happens to areas, for the journal and for guest_memfd's notifications. */
export interface Watcher {
  added(area: Area): void;
  removed(area: Area): void;
  /** An area was mapped or unmapped; a cut is neither. */
  record(step: 'iommu-map' | 'iommu-unmap', area: Area): void;
  /** Somebody must wait for pages of some memory that is being changed: answers RESTART. */
  readonly heldOff: HoldsOff;
}

export class IoPageTable {
  readonly areas = new IntervalMap<Area>();
  readonly reserved = new ReservedRanges();
  readonly domains: Domain[] = [];
  readonly users = new Set<InKernelUser>();
  readonly watcher: Watcher;
  allowed = new IntervalMap<Interval>();
  alignment = 1n;
  largePages = true;
  /**
   * Which memory may be mapped here. `private`: a guest's own, for a device that the guest has accepted. No interface
   * of a released kernel says so; in the mock a test does.
   */
  side: Shareability = 'shared';
  readonly #allocator = new AddressAllocator(this);

  constructor(watcher: Watcher) {
    this.watcher = watcher;
  }

  /** iopt_map_pages(). `iova` undefined: the kernel chooses. The address, or -errno. */
  map(slices: readonly Slice[], length: bigint, iova: bigint | undefined, access: Access): bigint {
    for (const { pages, startByte, length } of slices) {
      const range = { start: Number(startByte / PAGE), end: Number((startByte + length - 1n) / PAGE) + 1 };
      const held = this.holdOff(pages, range);
      if (held !== 0) return BigInt(held);
    }
    const start = this.#place(slices, length, iova);
    if (start < 0n) return start;
    const refused = this.#refuses(slices, access);
    if (refused !== 0) return BigInt(refused);
    let at = start;
    const areas = slices.map(({ pages, startByte, length }) => {
      const area = new Area(at, length, pages, startByte, access);
      at += length;
      return area;
    });
    const filled = this.#fill(areas);
    if (filled !== 0) return BigInt(filled);
    for (const area of areas) {
      this.adopt(area);
      this.watcher.record('iommu-map', area);
    }
    return start;
  }

  /** 0, or RESTART where the memory is being changed: nobody gets its pages then. */
  holdOff(pages: Pages, range: PageRange): number {
    return holdOff(pages, range, this.watcher.heldOff);
  }

  /** An area comes into being. */
  adopt(area: Area): void {
    area.pages.get();
    this.areas.add(area);
    this.watcher.added(area);
  }

  #place(slices: readonly Slice[], length: bigint, iova: bigint | undefined): bigint {
    if (length === 0n || length & (this.alignment - 1n)) return BigInt(-errno.EINVAL);
    if (iova === undefined) {
      const { pages, startByte } = slices[0]!;
      return this.#allocator.find(pages.origin + startByte, length);
    }
    const taken = this.#isTaken(iova, length);
    return taken === 0 ? iova : BigInt(taken);
  }

  /** iopt_check_iova() */
  #isTaken(iova: bigint, length: bigint): number {
    if (iova & (this.alignment - 1n)) return -errno.EINVAL;
    const last = iova + length - 1n;
    if (last > U64_MAX) return -errno.EOVERFLOW;
    if (this.reserved.intersects(iova, last)) return -errno.EINVAL;
    return this.areas.first(iova, last) ? -errno.EEXIST : 0;
  }

  /** iopt_insert_area() */
  #refuses(slices: readonly Slice[], access: Access): number {
    for (const { pages, startByte } of slices) {
      if (access.write && !pages.writable) return -errno.EPERM;
      if ((startByte % PAGE) & (this.alignment - 1n)) return -errno.EINVAL;
    }
    return 0;
  }

  /** Puts areas into the page tables there are: all of them or none. */
  #fill(areas: readonly Area[]): number {
    if (this.domains.length === 0) return 0;
    for (const [i, area] of areas.entries()) {
      const refused = fillArea(area, this.domains, this.side);
      if (refused !== 0) {
        for (const done of areas.slice(0, i)) this.empty(done);
        return refused;
      }
    }
    return 0;
  }

  /** Takes an area out of all page tables. */
  empty(area: Area): void {
    if (!area.filled) return;
    area.filled = false;
    for (const domain of this.domains) domain.clean(area.start, area.last);
    area.pages.unneed(area.range);
  }

  /** Takes an area away. */
  drop(area: Area): void {
    this.areas.delete(area);
    this.#allocator.forget();
    this.empty(area);
    this.watcher.removed(area);
    area.pages.put();
  }

  /** iopt_unmap_iova_range(): areas go one by one, and those that have gone by an error stay gone. */
  unmap(start: bigint, last: bigint): { result: number; unmapped: bigint } {
    let unmapped = 0n;
    let tries = 0;
    let from = start;
    for (let area = this.areas.first(from, last); area; area = this.areas.first(from, last)) {
      if (area.locks > 0) return { result: -errno.EBUSY, unmapped };
      if (area.start < from || area.last > last) return { result: -errno.ENOENT, unmapped };
      if (area.start !== from) tries = 0;
      if (area.accesses > 0) {
        from = area.start;
        area.closing = true;
        for (const user of this.users) user.unmap(area.start, area.length);
        if (++tries > 100) return { result: -errno.EDEADLK, unmapped };
        continue;
      }
      this.watcher.record('iommu-unmap', area);
      this.drop(area);
      unmapped += area.length;
      if (area.last >= last) break;
      from = area.last + 1n;
    }
    return { result: 0, unmapped };
  }

  unmapAll(): { result: number; unmapped: bigint } {
    return this.unmap(0n, U64_MAX);
  }

  /** The areas that cover [start, last] without a gap; `whole` says whether they do. */
  contiguous(start: bigint, last: bigint): { areas: Area[]; whole: boolean } {
    const areas: Area[] = [];
    for (let at = start; ; ) {
      const area = this.areas.at(at);
      if (!area) return { areas, whole: false };
      areas.push(area);
      if (area.last >= last) return { areas, whole: true };
      at = area.last + 1n;
    }
  }

  /** iopt_get_pages(): the memory behind a range, for a copy. */
  slices(start: bigint, length: bigint): Slice[] | number {
    if (length === 0n) return -errno.EINVAL;
    const last = start + length - 1n;
    if (last > U64_MAX) return -errno.EOVERFLOW;
    const { areas, whole } = this.contiguous(start, last);
    if (!whole) return -errno.ENOENT;
    return areas.map((area) => {
      const from = area.start > start ? area.start : start;
      const to = area.last < last ? area.last : last;
      return { pages: area.pages, startByte: area.byteAt(from), length: to - from + 1n };
    });
  }

  /** iopt_reserve_iova() */
  reserve(start: bigint, last: bigint, owner: object): number {
    if (this.areas.first(start, last) || this.allowed.first(start, last)) return -errno.EADDRINUSE;
    this.reserved.add(start, last, owner);
    return 0;
  }

  unreserve(owner: object): void {
    this.reserved.removeOwner(owner);
    this.#allocator.forget();
  }

  /** iopt_set_allow_iova() */
  allow(allowed: IntervalMap<Interval>): number {
    for (const { start, last } of allowed) if (this.reserved.intersects(start, last)) return -errno.EADDRINUSE;
    this.allowed = allowed;
    this.#allocator.forget();
    return 0;
  }
}
