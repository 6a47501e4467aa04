/** Domains and in-kernel users come to an IOAS and leave it: the alignment follows them, and so does the pinning. */

import { errno } from '../../../abi/errno.ts';
import { U64_MAX } from '../../../abi/invalid.ts';
import { PAGE_SIZE } from '../../../abi/linux.ts';
import type { Domain } from '../hardware/domain.ts';
import type { Area } from './area.ts';
import { fillArea } from './fill-area.ts';
import type { InKernelUser, IoPageTable } from './io-page-table.ts';

const PAGE = BigInt(PAGE_SIZE);
const max = (a: bigint, b: bigint): bigint => (a > b ? a : b);

/** iopt_table_add_domain(). On failure nothing has changed. */
export function addDomain(table: IoPageTable, domain: Domain): number {
  for (const { filled, pages, range } of table.areas) {
    const held = filled ? 0 : table.holdOff(pages, range);
    if (held !== 0) return held;
  }
  const alignment = max(domain.format.smallestPage, table.alignment);
  if (alignment > PAGE) return -errno.EINVAL;
  if (alignment !== table.alignment) {
    const misaligned = checkAlignment(table, alignment);
    if (misaligned !== 0) return misaligned;
  }
  const error = reserveOutside(table, domain) || fillDomain(table, domain);
  if (error !== 0) {
    table.unreserve(domain);
    return error;
  }
  table.alignment = alignment;
  table.domains.push(domain);
  return 0;
}

function reserveOutside(table: IoPageTable, domain: Domain): number {
  const { start, last } = domain.format.aperture;
  if (start !== 0n) {
    const refused = table.reserve(0n, start - 1n, domain);
    if (refused !== 0) return refused;
  }
  return last === U64_MAX ? 0 : table.reserve(last + 1n, U64_MAX, domain);
}

/** iopt_fill_domain(): the first domain makes every area's pages be pinned, later ones find them so. */
function fillDomain(table: IoPageTable, domain: Domain): number {
  const filled: Area[] = [];
  for (const area of table.areas) {
    const wasFilled = area.filled;
    const refused = wasFilled ? domain.refuses(area) : fillArea(area, [domain], table.side);
    if (refused !== 0) {
      for (const done of filled) table.empty(done);
      return refused;
    }
    if (!wasFilled) filled.push(area);
  }
  return 0;
}

/** iopt_table_remove_domain() */
export function removeDomain(table: IoPageTable, domain: Domain): void {
  const index = table.domains.indexOf(domain);
  if (index < 0) return;
  const tail = table.domains.pop()!;
  if (tail !== domain) table.domains[index] = tail;
  if (table.domains.length === 0) for (const area of table.areas) table.empty(area);
  table.unreserve(domain);
  recalculateAlignment(table);
}

/** iopt_check_iova_alignment(): whether the areas there are suit it. */
function checkAlignment(table: IoPageTable, alignment: bigint): number {
  const mask = alignment - 1n;
  for (const area of table.areas) {
    if ((area.start | area.length | area.pageOffset) & mask) return -errno.EADDRINUSE;
  }
  return 0;
}

/** iopt_calculate_iova_alignment() */
function recalculateAlignment(table: IoPageTable): number {
  let alignment = table.largePages ? 1n : PAGE;
  for (const domain of table.domains) alignment = max(alignment, domain.format.smallestPage);
  for (const user of table.users) alignment = max(alignment, user.alignment);
  if (alignment > table.alignment) {
    const misaligned = checkAlignment(table, alignment);
    if (misaligned !== 0) return misaligned;
  }
  table.alignment = alignment;
  return 0;
}

export function addUser(table: IoPageTable, user: InKernelUser): number {
  table.users.add(user);
  const misaligned = recalculateAlignment(table);
  if (misaligned !== 0) table.users.delete(user);
  return misaligned;
}

export function removeUser(table: IoPageTable, user: InKernelUser): void {
  table.users.delete(user);
  recalculateAlignment(table);
}

/** iopt_disable_large_pages(): not once pages may lie in large entries. */
export function disableLargePages(table: IoPageTable): number {
  if (!table.largePages) return 0;
  if (table.domains.length > 0 && table.areas.size > 0) return -errno.EINVAL;
  table.largePages = false;
  const misaligned = recalculateAlignment(table);
  if (misaligned !== 0) table.largePages = true;
  return misaligned;
}

export function enableLargePages(table: IoPageTable): void {
  table.largePages = true;
  recalculateAlignment(table);
}
