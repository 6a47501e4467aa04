/**
 * The fixture of the conversations between guest_memfd and the IOMMU: a guest's memory as in `Scenario`, and devices
 * that reach it, each through an address space of its own.
 *
 * A device is iommufd's mock device, for which pages are pinned and page tables filled, and an access of its test driver
 * to the same address space, which reads and writes as the device would. Both are on real kernels as on the mock.
 */

import { type ErrnoName, PAGE_SIZE } from '../abi/index.ts';
import type { Ioas, Iommufd, MockAccess } from '../iommu/index.ts';
import type { IommuPolicy } from '../mock/index.ts';
import type { T } from './context.ts';
import { CONVERTS } from './conversion.ts';
import { IOVA, PAGE } from './dma.ts';
import type { Requires } from './requires.ts';
import { type Expected, Scenario, type ScenarioOptions } from './scenario.ts';

/** A variant of each design. */
export const policyVariants: Readonly<Record<IommuPolicy, IommuPolicy>> = {
  pin: 'pin',
  'trust-vmm': 'trust-vmm',
  notifier: 'notifier',
  'revoke-area': 'revoke-area',
};

/** What a case with a variant of each design needs, besides what else it needs. */
export const lends =
  (others: Requires = {}) =>
  (iommuPolicy: IommuPolicy): Requires => ({ ...CONVERTS, guest: true, iommufdTest: true, ...others, iommuPolicy });

/** How memory is named that is mapped: the designs that know guest_memfd take its file, today's kernels an address. */
export const mapsBy = (policy: IommuPolicy): 'address' | 'file' => (policy === 'pin' ? 'address' : 'file');

export const bytesFor = (pages: number): number => pages * PAGE_SIZE;

export class LentMemory {
  readonly memory: Scenario;
  readonly iommufd: Iommufd;
  readonly policy: IommuPolicy;
  readonly #t: T;

  private constructor(t: T, memory: Scenario, iommufd: Iommufd, policy: IommuPolicy) {
    this.#t = t;
    this.memory = memory;
    this.iommufd = iommufd;
    this.policy = policy;
  }

  /** Everything is undone with the case. Devices come with `device()`. */
  static async create(t: T, policy: IommuPolicy, options: ScenarioOptions): Promise<LentMemory> {
    const memory = await Scenario.create(t, options);
    const iommufd = await t.host.iommufd();
    t.defer(() => iommufd.close());
    return new LentMemory(t, memory, iommufd, policy);
  }

  /** A device that reaches nothing yet. */
  async device(): Promise<LentTo> {
    return await this.#deviceOn(await this.iommufd.allocIoas());
  }

  /** A device that the guest has accepted, on its private side. Needs `requires.mock`. */
  async trustedDevice(): Promise<LentTo> {
    const ioas = await this.iommufd.allocIoas();
    this.#t.mock.makePrivateSide(this.iommufd.fd, ioas.id);
    return await this.#deviceOn(ioas);
  }

  async #deviceOn(ioas: Ioas): Promise<LentTo> {
    const device = await this.iommufd.test.mockDevice(ioas);
    this.#t.defer(() => device.close());
    const access = await this.iommufd.test.access(ioas);
    this.#t.defer(() => access.close());
    return new LentTo(this.#t, this, { ioas, hwptId: device.hwptId, access });
  }
}

interface Parts {
  readonly ioas: Ioas;
  readonly hwptId: number;
  readonly access: MockAccess;
}

/** A device, and what it finds. It has a page of the memory, where it has it at all, at IOVA and as many pages on. */
export class LentTo {
  readonly ioas: Ioas;
  readonly #t: T;
  readonly #lent: LentMemory;
  readonly #parts: Parts;

  constructor(t: T, lent: LentMemory, parts: Parts) {
    this.#t = t;
    this.#lent = lent;
    this.#parts = parts;
    this.ioas = parts.ioas;
  }

  iova(page: number): bigint {
    return IOVA + BigInt(page) * PAGE;
  }

  tryMap(first: number, count = 1) {
    const { memory, policy } = this.#lent;
    const iova = this.iova(first);
    const [offset, length] = [bytesFor(first), bytesFor(count)];
    if (mapsBy(policy) === 'file') return this.ioas.tryMapFile({ file: memory.gmem, start: offset, length, iova });
    return this.ioas.tryMap({ address: memory.mapping, offset, length, iova });
  }

  async map(first: number, count = 1): Promise<void> {
    this.#t.succeeds(await this.tryMap(first, count), `mapping pages ${first}+${count} for the device`);
  }

  /** Private pages cannot be had: by address they cannot be touched, by the file they are of the wrong side. */
  async mapIsRefused(first: number, count = 1): Promise<void> {
    const code: ErrnoName = mapsBy(this.#lent.policy) === 'file' ? 'EACCES' : 'EFAULT';
    this.#t.fails(await this.tryMap(first, count), code, `mapping private pages ${first}+${count} for the device`);
  }

  async unmap(first: number, count = 1): Promise<void> {
    const range = { iova: this.iova(first), length: bytesFor(count) };
    this.#t.equal(
      this.#t.succeeds(await this.ioas.tryUnmap(range), `unmapping pages ${first}+${count}`),
      BigInt(range.length),
      `bytes unmapped of pages ${first}+${count}`,
    );
  }

  /** The device reads this byte at the start of the page, through the page it has. */
  async finds(page: number, expected: Expected): Promise<void> {
    const byte = new Uint8Array(1);
    const read = await this.#parts.access.tryRead(this.iova(page), byte, { pinned: true });
    this.#t.succeeds(read, `the device reads page ${page}`);
    if (expected !== 'any') this.#t.equal(byte[0], expected, `the device finds on page ${page}`);
  }

  async stores(page: number, byte: number): Promise<void> {
    const written = await this.#parts.access.tryWrite(this.iova(page), Uint8Array.of(byte), { pinned: true });
    this.#t.succeeds(written, `the device writes page ${page}`);
  }

  /** As `finds`, for pages side by side: through the pages that are pinned, whatever their addresses show by now. */
  async findsOnAll(first: number, expected: readonly number[]): Promise<void> {
    const run = new Uint8Array(bytesFor(expected.length - 1) + 1);
    const read = await this.#parts.access.tryRead(this.iova(first), run, { pinned: true });
    this.#t.succeeds(read, `the device reads pages ${first}+${expected.length}`);
    const found = expected.map((_, i) => run[bytesFor(i)]);
    this.#t.equal<readonly unknown[]>(found, expected, `the device finds on pages ${first}+${expected.length}`);
  }

  /** As `stores`, for pages side by side. */
  async storesOnAll(first: number, bytes: readonly number[]): Promise<void> {
    const run = new Uint8Array(bytesFor(bytes.length - 1) + 1);
    for (const [i, byte] of bytes.entries()) run[bytesFor(i)] = byte;
    const written = await this.#parts.access.tryWrite(this.iova(first), run, { pinned: true });
    this.#t.succeeds(written, `the device writes pages ${first}+${bytes.length}`);
  }

  /** The device can neither read nor write the page; ENOENT: nothing is mapped there. */
  async isRefused(page: number, code: ErrnoName = 'ENOENT'): Promise<void> {
    await this.isRefusedReading(page, code);
    await this.isRefusedWriting(page, code);
  }

  async isRefusedReading(page: number, code: ErrnoName): Promise<void> {
    const read = await this.#parts.access.tryRead(this.iova(page), new Uint8Array(1), { pinned: true });
    this.#t.fails(read, code, `the device reads page ${page}`);
  }

  async isRefusedWriting(page: number, code: ErrnoName): Promise<void> {
    const written = await this.#parts.access.tryWrite(this.iova(page), Uint8Array.of(0xdd), { pinned: true });
    this.#t.fails(written, code, `the device writes page ${page}`);
  }

  /** Whether the page tables have exactly the pages that this process has at present. EINVAL: others. */
  async hasPagesOfHost(first: number, count = 1): Promise<boolean> {
    const { hwptId } = this.#parts;
    const range = { iova: this.iova(first), length: bytesFor(count) };
    const address = this.#lent.memory.mapping.address + BigInt(bytesFor(first));
    return (await this.#lent.iommufd.test.tryCheckMap(hwptId, range, address)).ok;
  }
}
