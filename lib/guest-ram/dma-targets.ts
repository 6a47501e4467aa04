/** The spaces of the kernel that a GuestRam can be put into. */

import type { PageState } from '../guest-memfd/index.ts';
import type { Backing } from './backing.ts';
import type { DmaSpace } from './dma-space.ts';

export type DmaTarget = DmaSpace;

export function spaceOf(target: DmaTarget, _backing: Backing, _holds: PageState): DmaSpace {
  return target;
}
