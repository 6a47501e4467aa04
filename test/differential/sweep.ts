/** Looking at all memory there is, through every mapping or by every guest. */

import { PAGE_SIZE } from '../../lib/abi/linux.ts';
import type { Call } from './command.ts';
import { GUEST_BASE, GUEST_PAGES } from './commands/slots.ts';
import { addressSpaces } from './iommu/sweep.ts';
import type { Side } from './side.ts';
import type { Mapping, Vm, World } from './world.ts';

/** Every page of every mapping, as the host finds it: pages that were never touched are touched by it. */
export function hostMemory(world: World): Call {
  const mappings = world.mappings.filter((mapping) => mapping !== undefined);
  const size = mappings.reduce((sum, { pages }) => sum + pages * PAGE_SIZE, 0);
  return {
    text: `all of ${mappings.map(({ name }) => name).join(', ') || 'nothing'}, as the host finds it`,
    run: (side) => {
      const bytes = side.scratch(size);
      let at = 0;
      let note = 'unreachable:';
      for (const mapping of mappings) {
        note += readMapping(side, mapping, bytes.subarray(at, at + mapping.pages * PAGE_SIZE));
        at += mapping.pages * PAGE_SIZE;
      }
      return { ret: 0, note, bytes };
    },
  };
}

/** Answers the pages that cannot be touched; they read as zeroes. */
function readMapping(side: Side, mapping: Mapping, bytes: Uint8Array): string {
  let unreachable = '';
  for (let page = 0; page < mapping.pages; ) {
    const address = side.address({ mapping, offset: BigInt(page * PAGE_SIZE) });
    const copied = side.syscalls.copyOutSync(address, bytes.subarray(page * PAGE_SIZE));
    page += Math.max(0, copied) / PAGE_SIZE;
    if (page === mapping.pages) break;
    bytes.fill(0, page * PAGE_SIZE, (page + 1) * PAGE_SIZE);
    unreachable += ` ${mapping.name} ${page++}`;
  }
  return unreachable;
}

/** The first bytes of every page where generated slots can be, as the guest finds them. */
export function guestMemory(world: World, vm: Vm): Call {
  const pages = Array.from({ length: GUEST_PAGES }, (_, i) => GUEST_BASE + BigInt(i * PAGE_SIZE)).filter(
    (gpa) => hasSlot(vm, gpa) && world.isSafe(vm, gpa, 8n),
  );
  return {
    text: `${pages.length} pages of ${vm.name}, as its guest finds them`,
    run: (side) => {
      const guest = side.guests.get(vm)!;
      const parts = pages.map((gpa) => ({ gpa, ...guest.read(gpa, 8) }));
      const exits = parts.flatMap(({ ret, note }) => (note === undefined ? [] : [`${ret} ${note}`]));
      return { ret: 0, note: exits.join('; '), bytes: Buffer.concat(parts.map(({ bytes }) => bytes!)) };
    },
  };
}

const hasSlot = (vm: Vm, gpa: bigint): boolean =>
  [...vm.slots.values()].some((slot) => gpa >= slot.gpa && gpa < slot.gpa + BigInt(slot.pages * PAGE_SIZE));

/** Where a run ends, everything is looked at. */
export function everything(world: World): Call[] {
  return [
    hostMemory(world),
    ...addressSpaces(world),
    ...world.vms.filter(({ hasGuest }) => hasGuest).map((vm) => guestMemory(world, vm)),
  ];
}
