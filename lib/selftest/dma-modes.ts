/**
 * The five ways to give a device an address space, as the kernel's own VFIO tests have them: a type1 container, the same
 * two requests of an iommufd in its place, and the iommufd's own.
 */

import type { Failure, Result, Success } from '../host/index.ts';
import type { ContainerDriver, Ioas, Iommufd, IovaRange, VfioContainer, VfioDevice } from '../iommu/index.ts';
import type { Mapping } from '../kvm/index.ts';
import type { T } from './context.ts';
import { groupOf, iommufd, testDevice } from './dma.ts';
import type { Requires } from './requires.ts';

export const MODES = {
  type1: 'type1',
  type1v2: 'type1v2',
  'compat-type1': 'compat-type1',
  'compat-type1v2': 'compat-type1v2',
  iommufd: 'iommufd',
} as const;
export type Mode = keyof typeof MODES;

export const isNative = (mode: Mode): boolean => mode === 'type1' || mode === 'type1v2';
export const isCompat = (mode: Mode): boolean => mode.startsWith('compat-');
const driverOf = (mode: Mode): ContainerDriver => (mode.endsWith('v2') ? 'type1v2' : 'type1');

export function modeRequires(mode: Mode, device: 'any' | 'edu' = 'any'): Requires {
  return isNative(mode) ? { vfioContainer: true, vfioDevice: device } : { iommufd: true, vfioDevice: device };
}

export interface MapPiece {
  readonly address: Mapping | bigint;
  readonly iova: bigint;
  readonly offset?: number;
  readonly length?: number | bigint;
  readonly readable?: boolean;
  readonly writeable?: boolean;
}

/** A device, and the address space that it sees, whichever way it was given. */
export interface DmaSpace {
  readonly mode: Mode;
  readonly device: VfioDevice;
  /** What `map` and `unmap` are asked of. */
  readonly target: Ioas | VfioContainer;
  map(piece: MapPiece): Promise<Result<unknown>>;
  /** How many bytes were mapped there. */
  unmap(range: IovaRange): Promise<Result<bigint>>;
  unmapAll(): Promise<Result<bigint>>;
  /** Where something can be mapped, both ends included. */
  ranges(): Promise<{ readonly start: bigint; readonly end: bigint }[]>;
}

/** Closed at the end: first the device, last what it was opened through. */
export async function dmaSpace(t: T, mode: Mode): Promise<DmaSpace> {
  return mode === 'iommufd' ? await own(t) : await contained(t, mode);
}

async function own(t: T): Promise<DmaSpace> {
  const file = await iommufd(t);
  const space = await file.allocIoas();
  const device = await t.host.vfio.openDevice(testDevice(t), { iommufd: file });
  t.defer(() => device.close());
  await device.attach(space);
  return {
    mode: 'iommufd',
    device,
    target: space,
    map: (piece) => space.tryMap(piece),
    unmap: (range) => space.tryUnmap(range),
    unmapAll: () => space.tryUnmapAll(),
    ranges: async () => (await space.iovaRanges()).ranges.map(({ start, last }) => ({ start, end: last })),
  };
}

async function contained(t: T, mode: Mode): Promise<DmaSpace> {
  const { container, joins } = isCompat(mode) ? await onIommufd(t) : await onContainer(t);
  const group = await t.host.vfio.openGroup(await groupOf(t));
  t.defer(() => group.close());
  await group.setContainer(joins);
  await container.setIommu(driverOf(mode));
  const device = await group.openDevice(testDevice(t));
  t.defer(() => device.close());
  return {
    mode,
    device,
    target: container,
    map: (piece) => container.tryMapDma(piece),
    unmap: (range) => container.tryUnmapDma(range),
    unmapAll: () => container.tryUnmapAll(),
    ranges: async () => [...((await container.info()).iovaRanges ?? [])],
  };
}

interface Joined {
  readonly container: VfioContainer;
  /** What the group is put into. */
  readonly joins: VfioContainer | Iommufd;
}

async function onContainer(t: T): Promise<Joined> {
  const container = await t.host.vfio.openContainer();
  t.defer(() => container.close());
  return { container, joins: container };
}

async function onIommufd(t: T): Promise<Joined> {
  const file = await iommufd(t);
  const container = await file.vfioContainer();
  t.defer(() => container.close());
  return { container, joins: file };
}

/** What a request comes to, for comparison with a table: an errno's name, or what it answered. */
export const outcome = (result: Success<unknown> | Failure): unknown => (result.ok ? result.value : result.code);
