/** Guest-physical memory as a CPU reaches it: through the VM's second-level page table. */

import { ACCESS_BIT, accessBits } from '../../abi/access-bits.ts';
import type { PhysicalMemory } from '../cpu/index.ts';
import type { Folio } from '../memory.ts';
import { type Access, access, type GuestExit } from './guest.ts';
import type { Vm } from './vm.ts';

type Move = (folio: Folio, within: number, at: number, step: number) => void;

export function guestPhysicalMemory(vm: Vm): PhysicalMemory<GuestExit> {
  const transfer = (address: bigint, length: number, write: boolean, move: Move) => {
    let moved = 0;
    const { gpa, wanted } = meant(vm.type, address);
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

/** An address as it stands in the guest's page tables: what it leads to, and what the guest takes it for. */
function meant(type: number, address: bigint): { readonly gpa: bigint; readonly wanted: Access | undefined } {
  const bits = accessBits[type];
  if (!bits) return { gpa: address, wanted: undefined };
  const wanted = (address & ACCESS_BIT) === bits.private ? 'private' : 'shared';
  return { gpa: address & ~ACCESS_BIT, wanted };
}
