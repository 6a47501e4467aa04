/** An area comes into page tables: its pages are pinned, and then each table is asked. */

import { errno } from '../../../abi/errno.ts';
import type { Shareability } from '../../guest-memfd/index.ts';
import type { Domain } from '../hardware/domain.ts';
import type { Area } from './area.ts';

/** 0, or -errno with nothing changed. */
export function fillArea(area: Area, domains: readonly Domain[], side: Shareability): number {
  if (area.pages.side !== side) return -errno.EACCES;
  const needed = area.pages.need(area.range);
  if (needed !== 0) return needed;
  for (const domain of domains) {
    const refused = domain.refuses(area);
    if (refused === 0) continue;
    area.pages.unneed(area.range);
    return refused;
  }
  area.filled = true;
  return 0;
}
