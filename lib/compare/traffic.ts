/**
 * A device that never rests: whenever the VMM has done something, it writes a page that it is entitled to, and once
 * more the page that it wrote last before the guest took it back, as a receive does that completes late.
 */

import type { DmaEngine } from '../mock/index.ts';
import { RangeMap } from '../ranges/index.ts';
import type { Random } from '../syscalls/random.ts';
import { addressOf } from './machine.ts';
import type { Tally } from './tally.ts';

const BYTES = Uint8Array.of(0xd0, 0x0d, 0xd0, 0x0d);

export class Traffic {
  readonly #device: DmaEngine;
  readonly #tally: Tally;
  readonly #random: Random;
  readonly #pages: number;
  readonly #usable = new RangeMap(false);
  #late: number | undefined;

  constructor(device: DmaEngine, tally: Tally, random: Random, pages: number) {
    this.#device = device;
    this.#tally = tally;
    this.#random = random;
    this.#pages = pages;
  }

  /** The guest's driver gives the device these pages. */
  give(start: number, end: number): void {
    this.#usable.set(start, end, true);
    this.#late = undefined;
  }

  /** It takes them back; transfers to the first of them are still on their way. */
  takeBack(start: number, end: number): void {
    this.#usable.set(start, end, false);
    this.#late = start;
  }

  step(): void {
    const page = this.#anyUsable();
    if (page !== undefined) this.#write('shared', page);
    if (this.#late !== undefined) this.#write('private', this.#late);
  }

  #anyUsable(): number | undefined {
    const runs = this.#usable.within(0, this.#pages).filter(({ value }) => value);
    if (runs.length === 0) return undefined;
    const { start, end } = this.#random.of(runs);
    return start + this.#random.below(end - start);
  }

  #write(aim: 'shared' | 'private', page: number): void {
    this.#tally.transfer(aim, () => this.#device.write(addressOf(page), BYTES));
  }
}
