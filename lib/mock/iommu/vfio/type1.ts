/** VFIO's type1 IOMMU, versions 1 and 2: drivers/vfio/vfio_iommu_type1.c. */

import { errno } from '../../../abi/errno.ts';
import { U64_MAX } from '../../../abi/invalid.ts';
import { PAGE_SIZE } from '../../../abi/linux.ts';
import type { Domain } from '../hardware/domain.ts';
import type { Group } from '../hardware/driver.ts';
import { holdOff } from '../hold-off.ts';
import type { IommuHost } from '../host.ts';
import { type Interval, IntervalMap } from '../iova/interval-map.ts';
import { toIovaPages } from '../iova/iova-pages.ts';
import { ReservedRanges } from '../iova/reserved.ts';
import { UserPages } from '../pages/user-pages.ts';
import type { DmaTarget } from '../pci/dma-target.ts';
import { isOthers } from './through-ioas.ts';

const PAGE = BigInt(PAGE_SIZE);

/** dma_entry_limit, a module parameter. */
const MAX_MAPPINGS = 0xffff;

export interface MapRequest {
  readonly iova: bigint;
  readonly vaddr: bigint;
  readonly size: bigint;
  readonly read: boolean;
  readonly write: boolean;
}

/** What MAP_DMA has mapped: it is unmapped as a whole. */
export class Mapping implements Interval {
  readonly start: bigint;
  readonly last: bigint;
  readonly read: boolean;
  readonly write: boolean;
  readonly pages: UserPages;
  /** Its address is being changed: VFIO_DMA_UNMAP_FLAG_VADDR. */
  isVaddrInvalid = false;

  constructor({ iova, size, read, write }: MapRequest, pages: UserPages) {
    this.start = iova;
    this.last = iova + size - 1n;
    this.read = read;
    this.write = write;
    this.pages = pages;
  }

  get size(): bigint {
    return this.last - this.start + 1n;
  }

  get range(): { start: number; end: number } {
    return { start: 0, end: this.pages.count };
  }
}

export class Type1 {
  readonly isV2: boolean;
  readonly title: string;
  readonly mappings = new IntervalMap<Mapping>();
  /** Where mappings may not be. */
  readonly reserved = new ReservedRanges();
  tracksDirty = false;
  readonly #host: IommuHost;
  readonly #domains = new Map<Group, Domain>();

  constructor(host: IommuHost, title: string, isV2: boolean) {
    this.#host = host;
    this.title = title;
    this.isV2 = isV2;
  }

  get available(): number {
    return MAX_MAPPINGS - this.mappings.size;
  }

  get pageSizes(): bigint {
    return [...this.#domains.values()].reduce((common, { format }) => common & format.pageSizes, U64_MAX);
  }

  get enforcesCoherency(): boolean {
    return [...this.#domains.values()].every(({ driver }) => driver.enforcesCoherency);
  }

  /** vfio_iommu_type1_attach_group() */
  attach(group: Group): number {
    const [device] = group.devices;
    if (!device) return -errno.ENODEV;
    const domain = device.driver.allocate(device, 0, undefined);
    if (typeof domain === 'number') return domain;
    const { start, last } = domain.format.aperture;
    const taken = [...device.reserved, ...(last === U64_MAX ? [] : [{ start: last + 1n, last: U64_MAX }])];
    if (start > 0n) taken.push({ start: 0n, last: start - 1n });
    if (taken.some((range) => this.mappings.first(range.start, range.last))) return -errno.EINVAL;
    for (const range of taken) this.reserved.add(range.start, range.last, group);
    this.#domains.set(group, domain);
    return 0;
  }

  detach(group: Group): void {
    this.#domains.delete(group);
    this.reserved.removeOwner(group);
  }

  release(): void {
    for (const mapping of this.mappings) this.remove(mapping);
  }

  /** vfio_dma_do_map() for memory: 0 or -errno. */
  map(request: MapRequest): number {
    const { iova, size, vaddr } = request;
    if (size === 0n) return -errno.EINVAL;
    if (iova + size - 1n > U64_MAX || vaddr + size - 1n > U64_MAX) return -errno.EOVERFLOW;
    if (!request.read && !request.write) return -errno.EINVAL;
    if ((size | iova | vaddr) & (PAGE - 1n)) return -errno.EINVAL;
    const last = iova + size - 1n;
    if (this.mappings.first(iova, last)) return -errno.EEXIST;
    if (this.available === 0) return -errno.ENOSPC;
    if (this.reserved.intersects(iova, last)) return -errno.EINVAL;
    return this.#pinAndMap(request);
  }

  #pinAndMap(request: MapRequest): number {
    const { locked, memory, addressSpace: space } = this.#host;
    const { vaddr: address, size: end, write: writable } = request;
    const pages = new UserPages({ end, writable, locked, mode: 'type1', space, memory, address });
    const mapping = new Mapping(request, pages);
    const held = holdOff(pages, mapping.range, ({ start, end }, settled) => {
      this.#host.journal.record('iommu-held-off', this.title, start, end);
      return this.#host.restarts.after(settled);
    });
    if (held !== 0) return held;
    const error = pages.need(mapping.range);
    if (error !== 0) return error;
    pages.get();
    pages.onPart.add(({ start, end }) => {
      this.#record('iommu-stale', mapping.start + BigInt(start) * PAGE, mapping.start + BigInt(end) * PAGE - 1n);
    });
    this.mappings.add(mapping);
    this.#record('iommu-map', mapping.start, mapping.last);
    return 0;
  }

  #record(step: 'iommu-map' | 'iommu-unmap' | 'iommu-stale', start: bigint, last: bigint): void {
    const pages = toIovaPages(start, last);
    const reason = step === 'iommu-stale' ? 'truncate' : undefined;
    this.#host.journal.record(step, this.title, pages.start, pages.end, reason);
  }

  /** VFIO_DMA_MAP_FLAG_VADDR: the memory is elsewhere in the process now. What is pinned stays as it is. */
  updateAddress(iova: bigint, size: bigint): number {
    const mapping = this.mappings.first(iova, iova + size - 1n);
    if (!mapping) return -errno.ENOENT;
    if (!mapping.isVaddrInvalid || mapping.start !== iova || mapping.size !== size) return -errno.EINVAL;
    mapping.isVaddrInvalid = false;
    return 0;
  }

  remove(mapping: Mapping): void {
    this.mappings.delete(mapping);
    mapping.pages.unneed(mapping.range);
    mapping.pages.put();
    this.#record('iommu-unmap', mapping.start, mapping.last);
  }

  translate(iova: bigint): DmaTarget | undefined {
    const mapping = this.mappings.at(iova);
    if (!mapping) return undefined;
    const index = Number((iova - mapping.start) / PAGE);
    return {
      title: this.title,
      read: mapping.read,
      write: mapping.write,
      within: Number(iova % PAGE),
      folio: () => mapping.pages.folio(index),
      isFreed: mapping.pages.isFreed(index),
      isOthers: isOthers(mapping.pages, index),
      isTrusted: false,
      written: () => {},
    };
  }
}
