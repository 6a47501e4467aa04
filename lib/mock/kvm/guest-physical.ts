/** Guest-physical memory as a CPU reaches it: through the VM's second-level page table. */

import type { PhysicalMemory } from '../cpu/index.ts';
import type { Folio } from '../memory.ts';
import { access, type GuestExit } from './guest.ts';
import { guestAddress } from './guest-address.ts';
import type { Vm } from './vm.ts';

type Move = (folio: Folio, within: number, at: number, step: number) => void;

/** `paging`: whether the CPU's own tables are on. */
export function guestPhysicalMemory(vm: Vm, paging: () => boolean): PhysicalMemory<GuestExit> {
  const transfer = (address: bigint, length: number, write: boolean, move: Move) => {
    let moved = 0;
    const { gpa, access: wanted } = guestAddress(vm, address, paging());
    const exit = access(vm, gpa, length, { write, access: wanted }, (folio, within, at, step) => {
      move(folio, within, at, step);
      moved += step;
    });
    return exit ? { moved, exit } : { moved };
  };
  return {
    read: (address, bytes) =>
      transfer(address, bytes.length, false, (folio, within, at, step) => {
        folio.copyTo(bytes.subarray(at, at + step), within);
      }),
    write: (address, bytes) =>
      transfer(address, bytes.length, true, (folio, within, at, step) => {
        folio.bytes.set(bytes.subarray(at, at + step), within);
      }),
  };
}
