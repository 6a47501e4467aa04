/** KVM_MEMORY_ENCRYPT_REG_REGION: memory of the process that SEV guests use, pinned: sev_mem_enc_register_region(). */

import { errno } from '../../../abi/errno.ts';
import type { ProcessMemory } from '../guest-hardware.ts';
import { pinMemory } from './pin-memory.ts';

interface Region {
  readonly address: bigint;
  readonly size: bigint;
  readonly unpin: () => void;
}

export class EncryptedRegions {
  readonly #process: ProcessMemory;
  readonly #regions: Region[] = [];

  constructor(process: ProcessMemory) {
    this.#process = process;
  }

  add(address: bigint, size: bigint): number {
    const unpin = pinMemory(this.#process, address, size, false);
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
