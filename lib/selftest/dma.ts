/** What cases about DMA start from: an iommufd, memory for a device, and the device that a test may use. */

import {
  IOMMU_IOAS_MAP,
  IOMMU_IOAS_MAP_FIXED_IOVA,
  IOMMU_IOAS_MAP_READABLE,
  IOMMU_IOAS_MAP_WRITEABLE,
  type IoctlIn,
  PAGE_SIZE,
} from '../abi/index.ts';
import { EduDevice, type Ioas, type Iommufd, isEdu, type MockDevice, type VfioDevice } from '../iommu/index.ts';
import type { Mapping } from '../kvm/index.ts';
import type { T } from './context.ts';

export const PAGE = BigInt(PAGE_SIZE);
/** Within every aperture there is: a mock domain's begins at 16 MiB, an edu device ends at 256 MiB. */
export const IOVA = 0x400_0000n;

/** An iommufd; closed at the end, with all that was made on it. */
export async function iommufd(t: T): Promise<Iommufd> {
  const opened = await t.host.iommufd();
  t.defer(() => opened.close());
  return opened;
}

/** An empty address space, and its iommufd. */
export async function ioas(t: T, on?: Iommufd): Promise<Ioas> {
  return await (on ?? (await iommufd(t))).allocIoas();
}

export interface Attached {
  readonly file: Iommufd;
  readonly space: Ioas;
  readonly device: MockDevice;
}

/** An address space with a mock device on it. Needs `requires.iommufdTest`. */
export async function attached(t: T): Promise<Attached> {
  const file = await iommufd(t);
  const space = await file.allocIoas();
  return { file, space, device: await file.test.mockDevice(space) };
}

/** Memory of this process that no guest has; gone at the end. */
export async function memory(t: T, pages: number): Promise<Mapping> {
  const mapping = await t.host.memory({ size: pages * PAGE_SIZE });
  t.defer(() => mapping.close());
  return mapping;
}

/** Bytes that tell where they are. */
export function pattern(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (seed + 31 * i + (i >> 8)) & 0xff);
}

/** IOMMU_IOAS_MAP with any values; readable, writeable and fixed where nothing else is said. */
export function rawMap(t: T, space: Ioas, on: Iommufd, values: IoctlIn<typeof IOMMU_IOAS_MAP>) {
  const flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE;
  return t.host.raw.tryIoctl(on, IOMMU_IOAS_MAP, { flags, ioas_id: space.id, ...values });
}

/** The address of the device that a test may do anything with. Needs `requires.vfioDevice`. */
export function testDevice(t: T): string {
  const { vfioDevices } = t.features;
  const device = vfioDevices.find(isEdu) ?? vfioDevices[0];
  if (!device) throw new Error('the case uses a device and does not require one: vfioDevice');
  return device.address;
}

/** The device's own file, bound to the iommufd; closed at the end. */
export async function cdev(t: T, on: Iommufd): Promise<VfioDevice> {
  const device = await t.host.vfio.openDevice(testDevice(t), { iommufd: on });
  t.defer(() => device.close());
  return device;
}

export const edu = (device: VfioDevice): EduDevice => new EduDevice(device);

/** The device as another process knows it: the group of its address. */
export async function groupOf(t: T): Promise<number> {
  const { group } = (await t.host.vfio.device(testDevice(t))) ?? {};
  if (group === undefined) throw new Error(`${testDevice(t)} is in no IOMMU group`);
  return group;
}
