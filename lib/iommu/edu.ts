/**
 * QEMU's `edu` device, for tests: a DMA engine that copies between memory and 4 KiB of its own, and an interrupt.
 * Source: docs/specs/edu.rst and hw/misc/edu.c of QEMU 7.2.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { checkBigint, checkInteger, checkOptions, outOfRange, U64_MAX, wrongType } from '../abi/invalid.ts';
import { VfioDevice } from './device.ts';
import type { PciDevice } from './inventory.ts';
import type { VfioRegion } from './region.ts';

export const EDU_VENDOR = 0x1234;
export const EDU_DEVICE = 0x11e8;

export const isEdu = ({ vendor, device }: Pick<PciDevice, 'vendor' | 'device'>): boolean =>
  vendor === EDU_VENDOR && device === EDU_DEVICE;

/** Registers of BAR 0. */
const ID = 0x00;
const LIVENESS = 0x04;
const RAISE_IRQ = 0x60;
const ACKNOWLEDGE_IRQ = 0x64;
const SOURCE = 0x80;
const TARGET = 0x88;
const COUNT = 0x90;
const COMMAND = 0x98;

const START = 1n;
const TO_RAM = 2n;

/** Where its own memory lies, as its DMA engine sees it. */
const BUFFER = 0x4_0000n;
/** Its memory has a byte more; QEMU 7.2 ends with an assertion where a transfer reaches it. */
const MOST_BYTES = 4095;

export interface EduOptions {
  /** How long to wait for a transfer, in milliseconds; the device takes 100. Default: 5000. */
  readonly timeoutMs?: number;
}

/** Over a VfioDevice, which stays its owner's. The device is told to start transfers by itself, and to be the master. */
export class EduDevice {
  readonly #device: VfioDevice;
  readonly #timeoutMs: number;
  #bar: VfioRegion | undefined;

  constructor(device: VfioDevice, options: EduOptions = {}) {
    if (!(device instanceof VfioDevice)) throw wrongType('device', 'a VfioDevice', device);
    const { timeoutMs = 5000 } = checkOptions<EduOptions>('options', options, ['timeoutMs']);
    this.#device = device;
    this.#timeoutMs = checkInteger('options.timeoutMs', timeoutMs, 1, 2 ** 31 - 1);
  }

  /** Its identification: 0xed in the low byte, the version in the high ones. */
  async id(): Promise<number> {
    return Number(await (await this.#registers()).read(ID, 4));
  }

  /** What it answers to a number of 32 bits: its complement. */
  async liveness(value: number): Promise<number> {
    const registers = await this.#registers();
    await registers.write(LIVENESS, 4, value);
    return Number(await registers.read(LIVENESS, 4));
  }

  /**
   * Copies from memory, at an address as the device sees it, into the device. Where the IOMMU forbids it nothing tells:
   * the kernel logs a fault, and the device believes that it is done.
   *
   * @param at Where in the device's 4 KiB.
   * @throws Error ERR_EDU_TIMEOUT when the device does not come to an end
   */
  async dmaFromRam(iova: number | bigint, length: number, at = 0): Promise<void> {
    const { from, inside } = checkTransfer(iova, length, at);
    await this.#transfer(from, inside, length, 0n);
  }

  /** Copies from the device into memory; as `dmaFromRam`. */
  async dmaToRam(iova: number | bigint, length: number, at = 0): Promise<void> {
    const { from, inside } = checkTransfer(iova, length, at);
    await this.#transfer(inside, from, length, TO_RAM);
  }

  /** Has it raise its interrupt, with these bits in its status. */
  async raiseIrq(bits = 1): Promise<void> {
    await (await this.#registers()).write(RAISE_IRQ, 4, checkInteger('bits', bits, 1, 0xffff_ffff));
  }

  async acknowledgeIrq(bits = 1): Promise<void> {
    await (await this.#registers()).write(ACKNOWLEDGE_IRQ, 4, checkInteger('bits', bits, 1, 0xffff_ffff));
  }

  async #registers(): Promise<VfioRegion> {
    if (this.#bar) return this.#bar;
    const bar = await this.#device.region('bar0');
    await this.#device.setBusMaster(true);
    this.#bar = bar;
    return bar;
  }

  async #transfer(source: bigint, target: bigint, length: number, direction: bigint): Promise<void> {
    const registers = await this.#registers();
    await registers.write(SOURCE, 8, source);
    await registers.write(TARGET, 8, target);
    await registers.write(COUNT, 8, length);
    await registers.write(COMMAND, 8, START | direction);
    const end = performance.now() + this.#timeoutMs;
    while (((await registers.read(COMMAND, 8)) & START) !== 0n) {
      if (performance.now() > end) {
        const message = `the edu device did not end a transfer of ${length} bytes within ${this.#timeoutMs} ms`;
        throw Object.assign(new Error(message), { code: 'ERR_EDU_TIMEOUT' as const });
      }
      await sleep(2);
    }
  }
}

function checkTransfer(iova: number | bigint, length: number, at: number): { from: bigint; inside: bigint } {
  checkInteger('length', length, 1, MOST_BYTES);
  checkInteger('at', at, 0, MOST_BYTES - 1);
  if (at + length > MOST_BYTES) throw outOfRange('at and length', `within ${MOST_BYTES} bytes`, { at, length });
  return { from: checkBigint('iova', iova, 0n, U64_MAX), inside: BUFFER + BigInt(at) };
}
