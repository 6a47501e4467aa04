/** A page table of a device's IOMMU that userspace made itself: with dirty tracking, or as a parent for nesting. */

import { checkBigint, checkInteger, checkOptions, outOfRange, U64_MAX, wrongType } from '../abi/invalid.ts';
import {
  bitmapBytes,
  IOMMU_HWPT_DIRTY_TRACKING_ENABLE,
  IOMMU_HWPT_GET_DIRTY_BITMAP,
  IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR,
  IOMMU_HWPT_SET_DIRTY_TRACKING,
} from '../abi/iommufd.ts';
import { PAGE_SIZE } from '../abi/linux.ts';
import { type Result, success, unwrap } from '../host/index.ts';
import { IommufdObject } from './object.ts';
import { checkIovaRange, type IovaRange } from './options.ts';

export interface DirtyOptions extends IovaRange {
  /** Bytes that one bit stands for; a power of two. Default: the page size. */
  readonly pageSize?: number;
  /** Whether the pages count as clean afterwards. Default: true. */
  readonly clear?: boolean;
}

/** One bit for each page of a range, from the lowest address on. */
export class DirtyBitmap {
  readonly bytes: Uint8Array;
  readonly pages: number;

  constructor(bytes: Uint8Array, pages: number) {
    this.bytes = bytes;
    this.pages = pages;
  }

  /** Whether a page was written to, counted from the start of the range. */
  has(page: number): boolean {
    checkInteger('page', page, 0, this.pages - 1);
    return ((this.bytes[page >> 3] as number) & (1 << (page & 7))) !== 0;
  }

  /** The pages that were written to, counted from the start of the range. */
  get dirty(): number[] {
    return Array.from({ length: this.pages }, (_, page) => page).filter((page) => this.has(page));
  }
}

/** Bits, as many as an array of bytes can hold. */
const MOST_PAGES = 2 ** 34;

/** The bitmap's size in bytes and in pages. */
export function checkDirty(options: DirtyOptions, extra: readonly string[] = []) {
  const known = ['iova', 'length', 'pageSize', 'clear', ...extra] as never[];
  const { pageSize = PAGE_SIZE, clear = true } = checkOptions<DirtyOptions>('options', options, known);
  const { iova, length } = checkIovaRange('options', { iova: options.iova, length: options.length });
  if (typeof clear !== 'boolean') throw wrongType('options.clear', 'a boolean', clear);
  const page = checkBigint('options.pageSize', checkInteger('options.pageSize', pageSize, 1, 2 ** 52), 1n, U64_MAX);
  if ((page & (page - 1n)) !== 0n) throw outOfRange('options.pageSize', 'a power of two', pageSize);
  const pages = (length + page - 1n) / page;
  if (pages > MOST_PAGES) throw outOfRange('options.length', `at most ${MOST_PAGES} pages`, length);
  return { iova, length, page, pages: Number(pages), bytes: bitmapBytes(pages), clear };
}

/** Made by `iommufd.allocHwpt()`. Attached by a device, it shows what is mapped in its IOAS. */
export class Hwpt extends IommufdObject {
  /**
   * Starts or stops to note which pages devices write to. Needs `dirtyTracking: true` at its making.
   *
   * | errno      | meaning                            |
   * |------------|------------------------------------|
   * | EOPNOTSUPP | it was made without dirty tracking |
   *
   * Source: iommufd_hwpt_set_dirty_tracking(), drivers/iommu/iommufd/hw_pagetable.c.
   *
   * @throws KernelError
   */
  async setDirtyTracking(on: boolean): Promise<void> {
    unwrap(await this.trySetDirtyTracking(on));
  }

  /** As `setDirtyTracking`, with the kernel's refusal as a value. */
  async trySetDirtyTracking(on: boolean): Promise<Result<void>> {
    if (typeof on !== 'boolean') throw wrongType('on', 'a boolean', on);
    const flags = on ? IOMMU_HWPT_DIRTY_TRACKING_ENABLE : 0;
    const outcome = await this.ask(IOMMU_HWPT_SET_DIRTY_TRACKING, { flags, hwpt_id: this.id });
    return outcome.ok ? success(undefined) : outcome;
  }

  /**
   * The pages of a range that devices wrote to since tracking began or they were last cleared.
   *
   * | errno      | meaning                                                       |
   * |------------|---------------------------------------------------------------|
   * | EOPNOTSUPP | it was made without dirty tracking                            |
   * | EINVAL     | the range or the page size does not fit the page table        |
   *
   * Source: iommufd_hwpt_get_dirty_bitmap(), drivers/iommu/iommufd/hw_pagetable.c.
   *
   * @throws KernelError
   */
  async dirtyBitmap(options: DirtyOptions): Promise<DirtyBitmap> {
    return unwrap(await this.tryDirtyBitmap(options));
  }

  /** As `dirtyBitmap`, with the kernel's refusal as a value. */
  async tryDirtyBitmap(options: DirtyOptions): Promise<Result<DirtyBitmap>> {
    const { iova, length, page, pages, bytes, clear } = checkDirty(options);
    const data = new Uint8Array(bytes);
    const flags = clear ? 0 : IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR;
    const args = { hwpt_id: this.id, flags, iova, length, page_size: page, data };
    const outcome = await this.ask(IOMMU_HWPT_GET_DIRTY_BITMAP, args);
    return outcome.ok ? success(new DirtyBitmap(data, pages)) : outcome;
  }
}
