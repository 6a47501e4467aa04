/** Makes the parts of a GuestRam, or none of them. */

import { type Context, type Result, success } from '../host/index.ts';
import { type MemoryRegion, Vm } from '../kvm/index.ts';
import { type Backing, createBacking, hasTwoFiles } from './backing.ts';
import type { CheckedRam } from './options.ts';
import { PageStates } from './page-states.ts';
import { Placement } from './placement.ts';
import { Ram } from './ram.ts';

export interface MadeRam {
  readonly context: Context;
  readonly ram: Ram;
  readonly regions: readonly MemoryRegion[];
}

export async function makeRam(vm: Vm, options: CheckedRam): Promise<Result<MadeRam>> {
  const { context } = Vm.internals(vm);
  const backing = await createBacking(vm, context, options);
  if (!backing.ok) return backing;
  const regions: MemoryRegion[] = [];
  const made = await place(vm, backing.value, options, regions);
  const states = made.ok ? await startStates(context, backing.value, options) : made;
  if (!states.ok) {
    for (const region of regions.reverse()) await region.tryDelete();
    await backing.value.close();
    return states;
  }
  const places = options.regions.map(({ guestPhysAddr, offset, size }) => ({
    iova: guestPhysAddr,
    offset,
    length: size,
  }));
  const ram = new Ram({
    size: options.size,
    backing: backing.value,
    placement: new Placement(places),
    states: states.value,
  });
  return success({ context, ram, regions });
}

async function place(
  vm: Vm,
  { gmem, mapping }: Backing,
  options: CheckedRam,
  regions: MemoryRegion[],
): Promise<Result<void>> {
  for (const { slot, guestPhysAddr, offset, size } of options.regions) {
    const userspaceAddr = mapping.address + offset;
    const region = await vm.trySetMemoryRegion({ slot, guestPhysAddr, size, gmem, gmemOffset: offset, userspaceAddr });
    if (!region.ok) return region;
    regions.push(region.value);
  }
  return success(undefined);
}

/** Where attributes of the VM hold the state, all is shared until they say otherwise. */
async function startStates(
  context: Context,
  { gmem }: Backing,
  { initially, regions }: CheckedRam,
): Promise<Result<PageStates>> {
  if (hasTwoFiles(context) && initially === 'private') {
    for (const { offset, size } of regions) {
      const converted = await gmem.tryConvert({ offset, size, to: 'private' });
      if (!converted.ok) return converted;
    }
  }
  return success(new PageStates(initially));
}
