/** A PCI device of the mock: an edu behind the IOMMU. */

import { errno } from '../../../abi/errno.ts';
import { Device, type Group } from '../hardware/driver.ts';
import { interruptWindow, vtd } from '../hardware/vtd.ts';
import type { IommuHost } from '../host.ts';
import { COMMAND_MASTER, COMMAND_MEMORY, ConfigSpace } from './config-space.ts';
import { dma } from './dma.ts';
import type { Translate } from './dma-target.ts';
import { EDU_BAR_BYTES, Edu } from './edu.ts';

export const EDU_ID = {
  vendor: 0x1234,
  device: 0x11e8,
  class: 0x00ff00,
  revision: 0x10,
  subsystemVendor: 0x1af4,
  subsystemDevice: 0x1100,
} as const;

interface Placed {
  readonly address: string;
  /** The driver of the kernel that knows devices of its kind. */
  readonly driver: string | undefined;
  /** Where its region lies. */
  readonly region: number;
  readonly group: Group;
}

export class PciDevice {
  /** As in 0000:00:01.0. */
  readonly address: string;
  /** What the IOMMU knows of it. */
  readonly hardware: Device;
  readonly region: number;
  readonly config: ConfigSpace;
  /** The driver of the kernel that knows devices of its kind. */
  readonly ownDriver: string | undefined;
  /** The driver that has it, and the one that user space wants for it. */
  driver: string | undefined;
  driverOverride: string | undefined;
  /** What its DMA is translated by; undefined for what is blocked. */
  translate: Translate | undefined;
  /** Told when the interrupt line moves. */
  onInterrupt: (raised: boolean) => void = () => {};
  readonly #edu: Edu;

  constructor(host: IommuHost, { address, driver, region, group }: Placed) {
    this.address = address;
    this.region = region;
    this.config = new ConfigSpace(region);
    // vfio-pci knows no device of itself.
    if (driver === 'vfio-pci') this.driverOverride = driver;
    else this.ownDriver = driver;
    this.hardware = new Device({ name: address, driver: vtd, group, reserved: [interruptWindow] });
    this.#edu = new Edu({
      dma: (iova, bytes, write) => {
        // A device that may not master the bus reaches nothing, and nobody hears of it.
        if (!(this.config.command & COMMAND_MASTER)) {
          if (!write) bytes.fill(0);
        } else dma(host, { name: `device ${address}`, translate: this.translate }, iova, bytes, write);
      },
      interrupt: (raised) => this.onInterrupt(raised),
    });
  }

  get isMemoryEnabled(): boolean {
    return (this.config.command & COMMAND_MEMORY) !== 0;
  }

  /** Bytes of its region moved, in accesses as wide as they can be: the kernel's vfio_pci_core_do_io_rw(). */
  access(at: number, bytes: Uint8Array, write: boolean): number {
    if (at >= EDU_BAR_BYTES) return -errno.EINVAL;
    if (!this.isMemoryEnabled) return -errno.EIO;
    const length = Math.min(bytes.length, EDU_BAR_BYTES - at);
    for (let done = 0; done < length; ) {
      const size = width(at + done, length - done);
      const piece = bytes.subarray(done, done + size);
      if (write) this.#edu.write(at + done, size, fromBytes(piece));
      else piece.set(toBytes(this.#edu.read(at + done, size), size));
      done += size;
    }
    return length;
  }
}

/** The widest naturally aligned access that fits. */
function width(at: number, left: number): number {
  for (const size of [8, 4, 2]) if (left >= size && at % size === 0) return size;
  return 1;
}

const fromBytes = (bytes: Uint8Array): bigint => bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);

const toBytes = (value: bigint, size: number): Uint8Array =>
  Uint8Array.from({ length: size }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
