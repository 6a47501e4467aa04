/**
 * A device that reaches guest memory through an address space of the kernel: the one of iommufd's test driver, which
 * needs no hardware, or an edu that does real transfers, in each of the five ways to give it an address space.
 */

import { PAGE_SIZE } from '../abi/index.ts';
import type { DmaTarget } from '../guest-ram/index.ts';
import type { Result } from '../host/index.ts';
import type { EduDevice } from '../iommu/index.ts';
import type { Mapping } from '../kvm/index.ts';
import type { T } from './context.ts';
import { edu, IOVA, iommufd, memory } from './dma.ts';
import { dmaSpace, MODES, type Mode, modeRequires } from './dma-modes.ts';
import type { Requires } from './requires.ts';

export type RamMode = 'mock-domain' | Mode;

export const RAM_MODES: Readonly<Record<RamMode, RamMode>> = { 'mock-domain': 'mock-domain', ...MODES };

/** One of each interface, for what the ways to it cannot change. */
export const INTERFACES: Readonly<Record<string, RamMode>> = {
  'mock-domain': 'mock-domain',
  type1v2: 'type1v2',
  iommufd: 'iommufd',
};

export const ramDeviceRequires = (mode: RamMode): Requires =>
  mode === 'mock-domain' ? { iommufdTest: true } : modeRequires(mode, 'edu');

export interface RamDevice {
  /** What a GuestRam is attached to. */
  readonly target: DmaTarget;
  /** The bytes it finds; undefined where it may not. Memory that is all zeroes counts as not allowed. */
  read(iova: bigint, length: number): Promise<Uint8Array | undefined>;
  /** Lost where it may not. */
  write(iova: bigint, bytes: Uint8Array): Promise<void>;
  /** Maps a page of this process, behind the back of the GuestRam. */
  map(mapping: Mapping, iova: bigint): Promise<Result<unknown>>;
  /** Unmaps what was mapped as one, behind its back. */
  unmap(iova: bigint, length: number | bigint): Promise<Result<unknown>>;
}

export async function ramDevice(t: T, mode: RamMode): Promise<RamDevice> {
  return mode === 'mock-domain' ? await onMockDomain(t) : await onEdu(t, mode);
}

async function onMockDomain(t: T): Promise<RamDevice> {
  const file = await iommufd(t);
  const target = await file.allocIoas();
  const device = await file.test.mockDevice(target);
  t.defer(() => device.close());
  const access = await file.test.access(target);
  t.defer(() => access.close());
  return {
    target,
    read: async (iova, length) => {
      const bytes = new Uint8Array(length);
      return (await access.tryRead(iova, bytes, { pinned: true })).ok ? bytes : undefined;
    },
    write: async (iova, bytes) => {
      await access.tryWrite(iova, bytes, { pinned: true });
    },
    map: (mapping, iova) => target.tryMap({ address: mapping, length: PAGE_SIZE, iova }),
    unmap: (iova, length) => target.tryUnmap({ iova, length }),
  };
}

/** Where the edu and this process hand bytes to each other: far from all guest memory. */
const SCRATCH = 2n * IOVA;

async function onEdu(t: T, mode: Mode): Promise<RamDevice> {
  const space = await dmaSpace(t, mode);
  const scratch = await memory(t, 1);
  t.succeeds(await space.map({ address: scratch, iova: SCRATCH }), 'mapping memory for the device alone');
  const engine = edu(space.device);
  return {
    target: space.target,
    read: (iova, length) => readByEdu(engine, scratch, iova, length),
    write: async (iova, bytes) => {
      await scratch.write(0, bytes);
      await engine.dmaFromRam(SCRATCH, bytes.byteLength);
      await engine.dmaToRam(iova, bytes.byteLength);
    },
    map: (mapping, iova) => space.map({ address: mapping, length: PAGE_SIZE, iova }),
    unmap: (iova, length) => space.unmap({ iova, length }),
  };
}

/** Nothing tells a device that a transfer was refused; so it starts from zeroes, and what is still zeroes did not come. */
async function readByEdu(
  engine: EduDevice,
  scratch: Mapping,
  iova: bigint,
  length: number,
): Promise<Uint8Array | undefined> {
  await scratch.fill(0, length, 0);
  await engine.dmaFromRam(SCRATCH, length);
  await engine.dmaFromRam(iova, length);
  await engine.dmaToRam(SCRATCH, length);
  const bytes = await scratch.read(0, length);
  return bytes.some((byte) => byte !== 0) ? bytes : undefined;
}
