/**
 * The fixture of the cases about GuestRam: one memory that host, guest and a device have, and sentences about who finds
 * which byte on which page. Every page is looked at through its first byte.
 */

import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { type Dialect, PAGE_SIZE } from '../abi/index.ts';
import { GuestRam, type GuestRead, type RamStep } from '../guest-ram/index.ts';
import type { Vm } from '../kvm/index.ts';
import type { T } from './context.ts';
import { IOVA, PAGE } from './dma.ts';
import { hasProtectedState } from './facts.ts';
import type { Guest } from './guest.ts';
import { type RamDevice, type RamMode, ramDevice, ramDeviceRequires } from './ram-device.ts';
import type { Requires } from './requires.ts';
import type { State } from './scenario.ts';

/** In place, or between two backings. */
const CONVERTS_SOMEHOW: readonly Dialect[] = ['vm-attributes', 'rfc-convert', 'attributes2'];
/** A vCPU, or another reader of the page, may hold a page for a moment on a real kernel. */
const RETRY = { retry: { attempts: 100, delayMs: 1 } };

/** What every case with it needs, besides what else it needs. */
export const ramRequires =
  (others: Requires = {}) =>
  (mode: RamMode): Requires => ({
    dialect: CONVERTS_SOMEHOW,
    vmType: 'private',
    guest: true,
    ...ramDeviceRequires(mode),
    ...others,
  });

export interface RamOptions {
  readonly pages: number;
  readonly initially: State;
}

export class RamScenario {
  readonly vm: Vm;
  readonly ram: GuestRam;
  readonly device: RamDevice;
  readonly #guest: Guest;
  readonly #t: T;
  readonly #mode: RamMode;

  private constructor(t: T, mode: RamMode, parts: { vm: Vm; ram: GuestRam; device: RamDevice }) {
    this.#t = t;
    this.#mode = mode;
    this.vm = parts.vm;
    this.ram = parts.ram;
    this.device = parts.device;
    this.#guest = t.guest(parts.vm);
  }

  /** The device has it where the guest has it. All of it is undone with the case. */
  static async create(t: T, mode: RamMode, { pages, initially }: RamOptions): Promise<RamScenario> {
    const vm: Vm = await t.vm();
    const regions = [{ slot: 0, guestPhysAddr: IOVA }];
    const device = await ramDevice(t, mode);
    const ram = await GuestRam.create(vm, { size: pages * PAGE_SIZE, initially, regions });
    t.defer(() => ram.close());
    return new RamScenario(t, mode, { vm, ram, device });
  }

  /** Whether both states of a page are one page, and hardware leaves it alone. */
  get keepsContents(): boolean {
    return this.isInPlace && !this.hasPrivateBit;
  }

  /** Whether the guest says itself what it takes a page for, and hardware guards what is its own. */
  get hasPrivateBit(): boolean {
    return hasProtectedState(this.vm.type);
  }

  get isInPlace(): boolean {
    return this.#t.features.dialect !== 'vm-attributes';
  }

  /** Whether the kernel can be asked what is mapped for the device. */
  get knowsSpace(): boolean {
    return this.#mode === 'mock-domain' || this.#mode === 'iommufd';
  }

  iova(page: number): bigint {
    return IOVA + BigInt(page) * PAGE;
  }

  async attach(): Promise<void> {
    this.#t.succeeds(await this.ram.tryAttach(this.device.target), 'giving the device what is shared');
  }

  async convert(first: number, count: number, to: State): Promise<void> {
    const result = await this.ram.tryConvert(rangeOf(first, count, to), RETRY);
    this.#t.succeeds(result, `converting pages ${first}+${count} to ${to}`);
  }

  tryConvert(first: number, count: number, to: State) {
    return this.ram.tryConvert(rangeOf(first, count, to));
  }

  /** The host writes on each page that is shared now another byte, and none is 0. */
  async mark(): Promise<void> {
    for (const { offset, size, state } of this.ram.states()) {
      if (state !== 'shared') continue;
      for (let page = Number(offset / PAGE); page < Number((offset + size) / PAGE); page += 1) {
        await this.hostStores(page, markOf(page));
      }
    }
  }

  async hostStores(page: number, byte: number): Promise<void> {
    const stored = await this.ram.mapping.tryWrite(page * PAGE_SIZE, Uint8Array.of(byte));
    this.#t.succeeds(stored, `the host writes page ${page}`);
  }

  async hostFinds(page: number, byte: number): Promise<void> {
    const read = this.#t.succeeds(await this.ram.mapping.tryRead(page * PAGE_SIZE, 1), `the host reads page ${page}`);
    this.#t.equal(read[0], byte, `what the host finds on page ${page}`);
  }

  async guestStores(page: number, byte: number, access: State): Promise<void> {
    const stored = await this.#guest.write(this.iova(page), Uint8Array.of(byte), this.#takesFor(access));
    this.#t.equal(stored, { ok: true }, `the guest writes page ${page}`);
  }

  async guestFinds(page: number, byte: number, access: State): Promise<void> {
    const read = await this.#guest.read(this.iova(page), 1, this.#takesFor(access));
    this.#t.equal(read, { ok: true, bytes: Uint8Array.of(byte) }, `what the guest finds on page ${page}`);
  }

  async deviceStores(page: number, byte: number): Promise<void> {
    await this.device.write(this.iova(page), Uint8Array.of(byte));
  }

  async deviceFinds(page: number, byte: number): Promise<void> {
    this.#t.equal((await this.device.read(this.iova(page), 1))?.[0], byte, `what the device finds on page ${page}`);
  }

  /** It reads nothing, and what it writes does not arrive: the guest finds what it wrote before. */
  async deviceIsRefused(page: number, state: State = 'private'): Promise<void> {
    await this.guestStores(page, 0x11, state);
    this.#t.equal(await this.device.read(this.iova(page), 1), undefined, `what the device finds on page ${page}`);
    await this.deviceStores(page, 0xdd);
    await this.guestFinds(page, 0x11, state);
  }

  /** The pieces that the device has: first page and how many. */
  get pieces(): [number, number][] {
    return this.ram
      .mappedIn(this.device.target)
      .map(({ offset, length }) => [Number(offset / PAGE), Number(length / PAGE)]);
  }

  /** Host, guest and device see every page as its state says. A real device takes its time, and sees the ends of runs. */
  async agree(when: string): Promise<void> {
    const { reads: guest, device } = this;
    const pages = this.#mode === 'mock-domain' ? 'all' : 'ends';
    const differences = await this.ram.check({ guest, device: device.read, pages });
    this.#t.equal(differences, [], `differences ${when}`);
  }

  /** What the GuestRam does meanwhile, step by step. */
  async stepsOf(work: () => Promise<unknown>): Promise<RamStep['step'][]> {
    const steps: RamStep['step'][] = [];
    const listen = (message: unknown): void => {
      steps.push((message as RamStep).step);
    };
    subscribe('guest-memfd:ram', listen);
    try {
      await work();
    } finally {
      unsubscribe('guest-memfd:ram', listen);
    }
    return steps;
  }

  /** What the guest reads, for `ram.check()`. */
  get reads(): GuestRead {
    return guestReads(this.#guest, this.hasPrivateBit);
  }

  #takesFor(access: State): State | undefined {
    return this.hasPrivateBit ? access : undefined;
  }
}

/** What a guest reads, for `ram.check()`. */
export function guestReads(guest: Guest, hasPrivateBit: boolean): GuestRead {
  return async (gpa, length, state) => {
    const read = await guest.read(gpa, length, hasPrivateBit ? state : undefined);
    return read.ok ? read.bytes : undefined;
  };
}

export const markOf = (page: number): number => 0x40 + page;

const rangeOf = (first: number, count: number, to: State) => ({
  offset: first * PAGE_SIZE,
  size: count * PAGE_SIZE,
  to,
});
