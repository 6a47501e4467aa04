/** Cases about every VM type: as variants, each reported by itself, or in a loop over those the host has. */

import { vmTypeNames } from '../host/index.ts';
import type { Vm, VmType } from '../kvm/index.ts';
import type { T } from './context.ts';

export const vmTypeVariants = Object.fromEntries(vmTypeNames.map((type) => [type, type])) as Readonly<
  Record<VmType, VmType>
>;

/** A VM of each type that this host has. */
export async function eachVm(t: T, check: (vm: Vm) => Promise<void>): Promise<void> {
  for (const type of Object.keys(t.features.createFlags) as VmType[]) await check(await t.vm(type));
}
