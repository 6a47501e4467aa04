/**
 * The PCI configuration space of QEMU's edu device as vfio-pci shows it: what it reads at first, and which bits can be
 * written. Both were read from a running kernel.
 */

import { errno } from '../../../abi/errno.ts';

export const CONFIG_BYTES = 256;

export const COMMAND = 0x04;
/** Where the first and only region lies. */
const REGION = 0x10;
export const COMMAND_MEMORY = 1 << 1;
export const COMMAND_MASTER = 1 << 2;

/** From the first byte; the rest is 0. */
const INITIAL: readonly (readonly [at: number, bytes: readonly number[]])[] = [
  // Vendor and device 1234:11e8, command, status; revision and class 00ff00.
  [0x00, [0x34, 0x12, 0xe8, 0x11, 0x03, 0x01, 0x10, 0x00, 0x10, 0x00, 0xff, 0x00]],
  // Subsystem 1af4:1100, and the first capability.
  [0x2c, [0xf4, 0x1a, 0x00, 0x11, 0, 0, 0, 0, 0x40]],
  // Interrupt line and pin.
  [0x3c, [0x0a, 0x01]],
  // MSI with 64-bit addresses.
  [0x40, [0x05, 0x00, 0x80]],
];

const WRITABLE: readonly (readonly [at: number, bytes: readonly number[]])[] = [
  [COMMAND, [0x07, 0x05]],
  [0x0c, [0xff]],
  [REGION, [0x00, 0x00, 0xf0, 0xff]],
  [0x3c, [0xff]],
  [0x42, [0x8e]],
  [0x44, new Array(CONFIG_BYTES - 0x44).fill(0xff)],
];

function laidOut(parts: typeof INITIAL): Uint8Array {
  const bytes = new Uint8Array(CONFIG_BYTES);
  for (const [at, part] of parts) bytes.set(part, at);
  return bytes;
}

const writable = laidOut(WRITABLE);

export class ConfigSpace {
  readonly #initial = laidOut(INITIAL);
  #bytes: Uint8Array;

  constructor(region: number) {
    new DataView(this.#initial.buffer).setUint32(REGION, region, true);
    this.#bytes = this.#initial.slice();
  }

  get command(): number {
    return this.#bytes[COMMAND]! | (this.#bytes[COMMAND + 1]! << 8);
  }

  /** Bytes read, or -EFAULT beyond the end. */
  read(at: number, bytes: Uint8Array): number {
    if (at + bytes.length > CONFIG_BYTES) return -errno.EFAULT;
    bytes.set(this.#bytes.subarray(at, at + bytes.length));
    return bytes.length;
  }

  write(at: number, bytes: Uint8Array): number {
    if (at + bytes.length > CONFIG_BYTES) return -errno.EFAULT;
    for (const [i, byte] of bytes.entries()) {
      const mask = writable[at + i]!;
      // What is written to MSI's control word stays without what cannot be written.
      const kept = at + i === 0x42 ? 0 : this.#bytes[at + i]! & ~mask;
      this.#bytes[at + i] = kept | (byte & mask);
    }
    return bytes.length;
  }

  /** As the last user found it. */
  restore(): void {
    this.#bytes = this.#initial.slice();
  }
}
