/**
 * QEMU's educational device, registers and all: docs/specs/edu.rst of QEMU. Its DMA is done at once, and not after a
 * tenth of a second.
 */

import { PAGE_SIZE } from '../../../abi/linux.ts';

/** The size of its one region. */
export const EDU_BAR_BYTES = 0x10_0000;

const ID = 0x0100_00ed;
/** Device version, liveness check, factorial, status, interrupt status, raise and acknowledge. */
const REGISTER = { id: 0x00, live: 0x04, factorial: 0x08, status: 0x20, irq: 0x24, raise: 0x60, acknowledge: 0x64 };
/** From here on 8 bytes can be read at once, too: source, destination, count and command of DMA. */
const WIDE = 0x80;
const DMA = { source: 0x80, destination: 0x88, count: 0x90, command: 0x98 };

const STATUS_RAISE = 0x80;
const RUN = 1n;
const TO_RAM = 2n;
const DMA_RAISE = 4n;
const IRQ_FACTORIAL = 1;
const IRQ_DMA = 0x100;

/** Where the device's own memory is in its address space. */
const BUFFER = 0x4_0000n;
const BUFFER_BYTES = PAGE_SIZE;
/** dma_mask, by default. */
const ADDRESS_MASK = (1n << 28n) - 1n;

export interface EduBus {
  /** The device reads memory into `bytes`, or writes them to it. */
  dma(address: bigint, bytes: Uint8Array, write: boolean): void;
  /** The interrupt line goes up or down. */
  interrupt(raised: boolean): void;
}

export class Edu {
  readonly #bus: EduBus;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  #live = 0;
  #factorial = 0;
  #status = 0;
  #irq = 0;
  readonly #dma = { source: 0n, destination: 0n, count: 0n, command: 0n };

  constructor(bus: EduBus) {
    this.#bus = bus;
  }

  /** A read of 1, 2, 4 or 8 bytes. Those of sizes the device does not have give 0. */
  read(at: number, size: number): bigint {
    if (size < 4) return 0n;
    if (at < WIDE && size !== 4) return ALL_ONES;
    switch (at) {
      case REGISTER.id:
        return BigInt(ID);
      case REGISTER.live:
        return BigInt(this.#live >>> 0);
      case REGISTER.factorial:
        return BigInt(this.#factorial >>> 0);
      case REGISTER.status:
        return BigInt(this.#status);
      case REGISTER.irq:
        return BigInt(this.#irq);
      case DMA.source:
        return this.#dma.source;
      case DMA.destination:
        return this.#dma.destination;
      case DMA.count:
        return this.#dma.count;
      case DMA.command:
        return this.#dma.command;
      default:
        return ALL_ONES;
    }
  }

  write(at: number, size: number, value: bigint): void {
    if (size < 4 || (at < WIDE && size !== 4)) return;
    const low = Number(BigInt.asUintN(32, value));
    switch (at) {
      case REGISTER.live:
        this.#live = ~low;
        return;
      case REGISTER.factorial:
        this.#factorial = factorial(low);
        if (this.#status & STATUS_RAISE) this.#raise(IRQ_FACTORIAL);
        return;
      case REGISTER.status:
        this.#status = low & STATUS_RAISE;
        return;
      case REGISTER.raise:
        this.#raise(low);
        return;
      case REGISTER.acknowledge:
        this.#irq &= ~low;
        if (this.#irq === 0) this.#bus.interrupt(false);
        return;
      case DMA.source:
        this.#dma.source = value;
        return;
      case DMA.destination:
        this.#dma.destination = value;
        return;
      case DMA.count:
        this.#dma.count = value;
        return;
      case DMA.command:
        this.#command(value);
    }
  }

  #raise(bits: number): void {
    this.#irq = (this.#irq | bits) >>> 0;
    if (this.#irq !== 0) this.#bus.interrupt(true);
  }

  #command(command: bigint): void {
    this.#dma.command = command;
    if (!(command & RUN)) return;
    this.#transfer((command & TO_RAM) !== 0n);
    this.#dma.command &= ~RUN;
    if (command & DMA_RAISE) this.#raise(IRQ_DMA);
  }

  /** QEMU stops the machine when the device's own memory would be left: the driver's mistake. Here nothing happens. */
  #transfer(toRam: boolean): void {
    const { source, destination, count } = this.#dma;
    const start = (toRam ? source : destination) - BUFFER;
    if (start < 0n || count < 0n || start + count > BigInt(BUFFER_BYTES)) return;
    const bytes = this.#buffer.subarray(Number(start), Number(start + count));
    this.#bus.dma((toRam ? destination : source) & ADDRESS_MASK, bytes, toRam);
  }
}

const ALL_ONES = 0xffff_ffff_ffff_ffffn;

function factorial(n: number): number {
  let product = 1;
  for (let i = n; i > 1 && product !== 0; i--) product = Math.imul(product, i);
  return product;
}
