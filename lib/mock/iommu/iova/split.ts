/** Areas cut in two: iopt_cut_iova(), for type1's unmaps in the middle of a mapping. */

import { errno } from '../../../abi/errno.ts';
import { Area } from './area.ts';
import type { IoPageTable } from './io-page-table.ts';

/** Cuts behind each of these addresses, where an area is; stops at the first it may not cut. */
export function cutBehind(table: IoPageTable, addresses: readonly bigint[]): number {
  for (const address of addresses) {
    const area = table.areas.at(address);
    const error = area ? split(table, area, address) : 0;
    if (error !== 0) return error;
  }
  return 0;
}

function split(table: IoPageTable, area: Area, last: bigint): number {
  if (last === area.start || last === area.last) return 0;
  if (area.closing) return -errno.EBUSY;
  if (area.pages.kind === 'dma-buf') return -errno.EOPNOTSUPP;
  const mask = table.alignment - 1n;
  if ((last + 1n) & mask || area.byteAt(last + 1n) & mask) return -errno.EINVAL;
  if (area.accesses > 0) return -errno.EINVAL;
  // Pages that may lie in one large entry of a page table cannot be parted.
  if (area.filled && table.largePages) return -errno.EINVAL;
  replaceByParts(table, area, last + 1n);
  return 0;
}

/** Puts two areas in the place of one. Nothing changes for devices. */
export function replaceByParts(table: IoPageTable, area: Area, at: bigint): [Area, Area] {
  const parts: [Area, Area] = [
    new Area(area.start, at - area.start, area.pages, area.startByte, area.access),
    new Area(at, area.last - at + 1n, area.pages, area.byteAt(at), area.access),
  ];
  for (const part of parts) {
    if (area.filled) {
      area.pages.need(part.range);
      part.filled = true;
    }
  }
  if (area.filled) area.pages.unneed(area.range);
  area.pages.get();
  table.areas.delete(area);
  table.watcher.removed(area);
  for (const part of parts) table.adopt(part);
  area.pages.put();
  area.pages.put();
  return parts;
}
