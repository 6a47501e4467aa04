/** Memory of the process that a guest of SEV uses, pinned: for a command's time, or registered. */

import { errno } from '../../../abi/errno.ts';
import { toPages, wraps } from '../../ranges.ts';
import type { ProcessMemory } from '../guest-hardware.ts';

interface Region {
  readonly address: bigint;
  readonly size: bigint;
  readonly unpin: () => void;
}

export class EncryptedRegions {
  readonly #process: ProcessMemory;
  readonly #regions: Region[] = [];
  /** sev->pages_locked: of this guest alone. */
  #locked = 0;

  constructor(process: ProcessMemory) {
    this.#process = process;
  }

  /** sev_pin_memory(): what lets the pages go again, or -errno. */
  pin(address: bigint, size: bigint, write: boolean): (() => void) | number {
    if (size === 0n || wraps(address, size)) return -errno.EINVAL;
    const pages = toPages(address + size - 1n) - toPages(address) + 1;
    const { ramPages, memlock } = this.#process;
    if (this.#locked + pages > ramPages) return -errno.EINVAL;
    if (memlock !== undefined && this.#locked + pages > memlock) return -errno.ENOMEM;
    const unpin = this.#process.pin(address, size, write);
    if (!unpin) return -errno.ENOMEM;
    this.#locked += pages;
    return () => {
      this.#locked -= pages;
      unpin();
    };
  }

  /** KVM_MEMORY_ENCRYPT_REG_REGION: sev_mem_enc_register_region(). */
  add(address: bigint, size: bigint): number {
    const unpin = this.pin(address, size, false);
    if (typeof unpin === 'number') return unpin;
    this.#regions.push({ address, size, unpin });
    return 0;
  }

  remove(address: bigint, size: bigint): number {
    const i = this.#regions.findIndex((region) => region.address === address && region.size === size);
    if (i < 0) return -errno.EINVAL;
    this.#regions.splice(i, 1)[0]!.unpin();
    return 0;
  }

  removeAll(): void {
    for (const { unpin } of this.#regions.splice(0)) unpin();
  }
}
