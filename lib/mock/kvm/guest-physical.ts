/** Guest-physical memory as a CPU reaches it: through the VM's second-level page table. */

import type { PhysicalMemory } from '../cpu/index.ts';
import { access, type GuestExit } from './guest.ts';
import type { Vm } from './vm.ts';

export function guestPhysicalMemory(vm: Vm): PhysicalMemory<GuestExit> {
  return {
    read: (gpa, bytes) => {
      let moved = 0;
      const exit = access(vm, gpa, bytes.length, { write: false, access: undefined }, (folio, within, at, step) => {
        folio.copyTo(bytes.subarray(at, at + step), within);
        moved += step;
      });
      return exit ? { moved, exit } : { moved };
    },
    write: (gpa, bytes) => {
      let moved = 0;
      const exit = access(vm, gpa, bytes.length, { write: true, access: undefined }, (folio, within, at, step) => {
        folio.bytes.set(bytes.subarray(at, at + step), within);
        moved += step;
      });
      return exit ? { moved, exit } : { moved };
    },
  };
}
