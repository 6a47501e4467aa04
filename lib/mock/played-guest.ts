/** A guest without a vCPU: what it would find at an address now, also in the middle of a call. */

import { errno } from '../abi/errno.ts';
import { checkBytes, checkInteger, checkOneOf, checkOptions, checkU64, wrongType } from '../abi/invalid.ts';
import { PAGE_SIZE } from '../abi/linux.ts';
import { checkAlive } from './alive.ts';
import { type Access, access, type GuestExit, type How, type VmFile } from './kvm/index.ts';
import type { Folio } from './memory.ts';
import { toPages } from './ranges.ts';

export type GuestRead =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly exit: GuestExit };
export type GuestWrite = { readonly ok: true } | { readonly ok: false; readonly exit: GuestExit };

export interface GuestAccessOptions {
  /** What the guest takes the memory for, where the VM type has a bit for it; 'private' by default. */
  readonly access?: Access;
  /**
   * false: it uses a new private page without accepting it (TDX) or validating it (SNP) first, which is its end.
   * true by default.
   */
  readonly accepts?: boolean;
}

/**
 * A guest's view of its memory at this very moment, in the middle of a call too; a vCPU comes to run between calls
 * only. One that was not launched, and would have to be, answers what KVM_RUN does: EINVAL.
 */
export interface MockGuest {
  read(gpa: bigint | number, length: number, options?: GuestAccessOptions): GuestRead;
  write(gpa: bigint | number, bytes: Uint8Array, options?: GuestAccessOptions): GuestWrite;
  /**
   * What the second-level page table has for a guest-physical address: how many bytes one entry maps (4 KiB, 2 MiB or
   * 1 GiB), and as what. undefined: nothing yet.
   */
  mapping(gpa: bigint | number): { readonly size: number; readonly access: Access } | undefined;
}

type Vm = VmFile['vm'];
type Move = (folio: Folio, within: number, at: number, step: number) => void;

const MAX_READ = 0x4000_0000;

function checkAccess(options: GuestAccessOptions = {}): Omit<How, 'write'> {
  const { access: wanted, accepts = true } = checkOptions('options', options, ['access', 'accepts']);
  if (wanted !== undefined) checkOneOf<Access>('access', wanted, ['shared', 'private']);
  if (typeof accepts !== 'boolean') throw wrongType('accepts', 'a boolean', accepts);
  return { access: wanted, accepts };
}

/** A TD's shared bit in the address is as good as saying so. */
function touch(vm: Vm, address: bigint, length: number, how: How, move: Move): GuestExit | undefined {
  checkAlive(vm.machine);
  if (!vm.hardware.isLaunched) return { reason: 'failed', errno: -errno.EINVAL };
  const { sharedBit } = vm.hardware;
  const isShared = (address & sharedBit) !== 0n;
  return access(vm, address & ~sharedBit, length, isShared ? { ...how, access: 'shared' } : how, move);
}

export function playedGuest(vm: Vm): MockGuest {
  return {
    read(gpa, length, options) {
      const bytes = new Uint8Array(checkInteger('length', length, 0, MAX_READ));
      const how = { write: false, ...checkAccess(options) };
      const exit = touch(vm, checkU64('gpa', gpa), length, how, (folio, within, at, step) => {
        folio.copyTo(bytes.subarray(at, at + step), within);
      });
      return exit ? { ok: false, exit } : { ok: true, bytes };
    },
    write(gpa, bytes, options) {
      const { length } = checkBytes('bytes', bytes);
      const how = { write: true, ...checkAccess(options) };
      const exit = touch(vm, checkU64('gpa', gpa), length, how, (folio, within, at, step) => {
        folio.bytes.set(bytes.subarray(at, at + step), within);
      });
      return exit ? { ok: false, exit } : { ok: true };
    },
    mapping(gpa) {
      const found = vm.stage2.get(toPages(checkU64('gpa', gpa)));
      if (!found) return undefined;
      const size = (found.gfns.end - found.gfns.start) * PAGE_SIZE;
      return { size, access: found.private ? 'private' : 'shared' };
    },
  };
}
