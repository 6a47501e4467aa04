/** What the test driver checks and sets in an IOAS and its page tables. */

import { errno } from '../../../abi/errno.ts';
import { U64_MAX } from '../../../abi/invalid.ts';
import type { IoctlOut } from '../../../abi/ioctl.ts';
import type { iommuTest } from '../../../abi/iommufd-test.ts';
import { PAGE_SIZE } from '../../../abi/linux.ts';
import { pinsAt } from '../../process/index.ts';
import type { IommufdContext } from '../iommufd/context.ts';
import { HwptPaging } from '../iommufd/hwpt.ts';
import { Ioas } from '../iommufd/ioas.ts';
import type { Reply } from '../iommufd/sized-dispatch.ts';
import { mockDriver } from './mock-driver.ts';

type Args<Name extends keyof typeof iommuTest> = IoctlOut<(typeof iommuTest)[Name]>;

const PAGE = BigInt(PAGE_SIZE);

/** Who owns what tests reserve: it stays until the IOAS goes. */
const test = {};

export function addReserved(
  { objects }: IommufdContext,
  { id, add_reserved: { start, length } }: Args<'ADD_RESERVED'>,
): number {
  if (length === 0n) return -errno.EINVAL;
  if (start + length - 1n > U64_MAX) return -errno.EOVERFLOW;
  return objects.find(id, Ioas)?.table.reserve(start, start + length - 1n, test) ?? -errno.ENOENT;
}

/** Bytes of bookkeeping that a pin may use at once: it changes how the work is cut up, and no answer. */
export const memoryLimit = (
  _context: IommufdContext,
  { memory_limit: { limit } }: Args<'SET_TEMP_MEMORY_LIMIT'>,
): number => (limit < 12 ? -errno.EINVAL : 0);

/** A page table of the test driver's: EINVAL for one of a real IOMMU. */
export function mockTable({ objects }: IommufdContext, id: number): HwptPaging | number {
  const hwpt = objects.find(id, HwptPaging);
  if (!hwpt) return -errno.ENOENT;
  return hwpt.domain.driver === mockDriver ? hwpt : -errno.EINVAL;
}

/** Whether the page table leads to the very pages that the process has at an address. */
export function checkMap(
  context: IommufdContext,
  { id, check_map: { iova, length, uptr } }: Args<'MD_CHECK_MAP'>,
): number {
  const hwpt = mockTable(context, id);
  if (typeof hwpt === 'number') return hwpt;
  const step = hwpt.domain.format.smallestPage;
  if ((iova | length | uptr) % step !== 0n || uptr + length > U64_MAX) return -errno.EINVAL;
  for (let done = 0n; done < length; done += step) {
    const memory = context.host.addressSpace.touch(uptr + done, false, 'fast-gup');
    if (typeof memory === 'number') return -errno.EFAULT;
    const area = hwpt.ioas.table.areas.at(iova + done);
    const isSame = area?.filled && area.pages.folio(area.pageAt(iova + done)) === memory;
    if (!isSame || area.byteAt(iova + done) % PAGE !== (uptr + done) % PAGE) return -errno.EINVAL;
  }
  return 0;
}

/** Whether each page at an address is pinned so many times. */
export function checkRefs(
  { host }: IommufdContext,
  { check_refs: { length, uptr, refs } }: Args<'MD_CHECK_REFS'>,
): number {
  if ((length | uptr) % PAGE !== 0n || uptr + length > U64_MAX) return -errno.EINVAL;
  for (let done = 0n; done < length; done += PAGE) {
    const pins = pinsAt(host.addressSpace, uptr + done);
    if (pins === undefined) return -errno.EFAULT;
    if (pins !== refs) return -errno.EIO;
  }
  return 0;
}

const MAX_DIRTY_BITS = 16n * 1024n * 1024n * 8n;

/** A device has written these pages. Those that are not mapped count all the same. */
export function dirty(context: IommufdContext, args: Args<'DIRTY'>, reply: Reply<(typeof iommuTest)['DIRTY']>): number {
  const { iova, length, page_size: size, uptr } = args.dirty;
  if (size === 0n || length === 0n || iova % size !== 0n || length % size !== 0n || uptr === 0n) return -errno.EINVAL;
  const bits = length / size;
  if (bits > MAX_DIRTY_BITS) return -errno.EOVERFLOW;
  const hwpt = mockTable(context, args.id);
  if (typeof hwpt === 'number') return hwpt;
  if (!hwpt.domain.tracking) return -errno.EINVAL;
  const bitmap = context.read(uptr, Number((bits + 7n) / 8n));
  if (!bitmap) return -errno.EFAULT;
  let count = 0n;
  for (let bit = 0; bit < Number(bits); bit++) {
    if (!(bitmap[bit >> 3]! & (1 << (bit & 7)))) continue;
    count++;
    const at = iova + BigInt(bit) * size;
    const area = hwpt.ioas.table.areas.at(at);
    if (area?.filled) hwpt.domain.setDirty(area, at);
  }
  return reply({ ...args, dirty: { ...args.dirty, out_nr_dirty: count } });
}
