/**
 * An in-kernel user of an IOAS (struct iommufd_access): it takes pages by their I/O address, and lets them go when
 * they are unmapped. Source: drivers/iommu/iommufd/device.c.
 */

import { errno } from '../../../abi/errno.ts';
import { U64_MAX } from '../../../abi/invalid.ts';
import { PAGE_SIZE } from '../../../abi/linux.ts';
import type { Folio } from '../../memory.ts';
import type { Area } from '../iova/area.ts';
import { addUser, removeUser } from '../iova/attach.ts';
import type { InKernelUser } from '../iova/io-page-table.ts';
import type { IommufdContext } from './context.ts';
import { Ioas } from './ioas.ts';
import { IommufdObject } from './objects.ts';

const PAGE = BigInt(PAGE_SIZE);

interface AccessOptions {
  /** Whether it takes pages, or only copies. */
  readonly takesPages: boolean;
  /** Whether what it has taken cannot be unmapped: a hardware queue's. It keeps no iommufd open. */
  readonly locks: boolean;
  /** Lets go of all that was taken in a range. */
  readonly onUnmap: (start: bigint, length: bigint) => void;
}

/** What of an area a range has. */
export interface AreaPart {
  readonly area: Area;
  readonly from: bigint;
  readonly length: bigint;
}

export class InKernelAccess extends IommufdObject implements InKernelUser {
  readonly context: IommufdContext;
  readonly alignment: bigint;
  readonly #options: AccessOptions;
  #ioas: Ioas | undefined;

  constructor(context: IommufdContext, options: AccessOptions) {
    super();
    this.context = context;
    this.#options = options;
    this.alignment = options.takesPages ? PAGE : 1n;
    // Whoever made it.
    this.users++;
    if (!options.locks) context.file.get();
  }

  /** The address space that it reaches, for the journal. */
  get title(): string {
    return this.#ioas?.title ?? 'no ioas';
  }

  get takesPages(): boolean {
    return this.#options.takesPages;
  }

  /** iommufd_access_attach() */
  attach(ioasId: number): number {
    const ioas = this.context.objects.find(ioasId, Ioas);
    return ioas ? this.change(ioas) : -errno.ENOENT;
  }

  /** iommufd_access_replace() */
  replace(ioasId: number): number {
    return this.#ioas ? this.attach(ioasId) : -errno.ENOENT;
  }

  /** iommufd_access_change_ioas() */
  change(ioas: Ioas | undefined): number {
    const before = this.#ioas;
    if (before === ioas) return 0;
    if (ioas) {
      const refused = addUser(ioas.table, this);
      if (refused !== 0) return refused;
      ioas.users++;
    }
    if (before) {
      this.#options.onUnmap(0n, U64_MAX);
      removeUser(before.table, this);
      before.users--;
    }
    this.#ioas = ioas;
    return 0;
  }

  unmap(start: bigint, length: bigint): void {
    this.#options.onUnmap(start, length);
  }

  /** iommufd_access_pin_pages(): the pages of a range, or -errno. */
  pin(start: bigint, length: bigint, write: boolean): (Folio | number)[] | number {
    const table = this.#ioas?.table;
    if (length === 0n) return -errno.EINVAL;
    const last = start + length - 1n;
    if (last > U64_MAX) return -errno.EOVERFLOW;
    if (!table) return -errno.ENOENT;
    const { areas, whole } = table.contiguous(start, last);
    for (const area of areas) {
      const held = table.holdOff(area.pages, partOf(area, start, last));
      if (held !== 0) return held;
    }
    const taken: Area[] = [];
    const fail = (error: number): number => {
      for (const area of taken) this.#release(area, start, last);
      return error;
    };
    for (const [i, area] of areas.entries()) {
      const refused = this.#take(area, start, last, write, whole && i === areas.length - 1);
      if (refused !== 0) return fail(refused);
      taken.push(area);
    }
    return whole ? areas.flatMap((area) => foliosOf(area, start, last)) : fail(-errno.ENOENT);
  }

  #take(area: Area, start: bigint, last: bigint, write: boolean, isLast: boolean): number {
    const from = start > area.start ? start : area.start;
    const aligned = area.byteAt(from) % PAGE === 0n && (isLast || area.byteAt(area.last + 1n) % PAGE === 0n);
    if (area.closing || !aligned) return -errno.EINVAL;
    if (!(write ? area.access.write : area.access.read) || (write && !area.pages.writable)) return -errno.EPERM;
    if (area.pages.kind === 'dma-buf') return -errno.EINVAL;
    const needed = area.pages.need(partOf(area, start, last));
    if (needed !== 0) return needed;
    area.accesses++;
    if (this.#options.locks) area.locks++;
    return 0;
  }

  #release(area: Area, start: bigint, last: bigint): void {
    area.accesses--;
    if (this.#options.locks) area.locks--;
    area.pages.unneed(partOf(area, start, last));
  }

  /** iommufd_access_unpin_pages(): of exactly a range that was taken. */
  unpin(start: bigint, length: bigint): void {
    const table = this.#ioas?.table;
    const last = start + length - 1n;
    for (const area of table?.contiguous(start, last).areas ?? []) this.#release(area, start, last);
  }

  /** iommufd_access_rw(): `copy` is handed the range area by area; what it copied before an error stays copied. */
  copy(start: bigint, length: bigint, write: boolean, copy: (part: AreaPart) => number): number {
    if (length === 0n) return -errno.EINVAL;
    const last = start + length - 1n;
    if (last > U64_MAX) return -errno.EOVERFLOW;
    if (!this.#ioas) return -errno.ENOENT;
    const { areas, whole } = this.#ioas.table.contiguous(start, last);
    for (const area of areas) {
      if (area.closing) return -errno.EINVAL;
      if (!(write ? area.access.write : area.access.read)) return -errno.EPERM;
      const from = start > area.start ? start : area.start;
      const to = last < area.last ? last : area.last;
      const error = copy({ area, from, length: to - from + 1n });
      if (error !== 0) return error;
    }
    return whole ? 0 : -errno.ENOENT;
  }

  override destroy(): void {
    this.change(undefined);
    if (!this.#options.locks) this.context.file.put();
  }
}

/** The pages of an area that [start, last] touches. */
function partOf(area: Area, start: bigint, last: bigint): { start: number; end: number } {
  const from = start > area.start ? start : area.start;
  const to = last < area.last ? last : area.last;
  return { start: area.pageAt(from), end: area.pageAt(to) + 1 };
}

function foliosOf(area: Area, start: bigint, last: bigint): (Folio | number)[] {
  const { start: first, end } = partOf(area, start, last);
  return Array.from({ length: end - first }, (_, i) => area.pages.folio(first + i) ?? -errno.ENOENT);
}
