/** What the scenarios with a VFIO device share: the lab's edu, and shorter ways to say things. */

import { IOMMU_VFIO_IOAS, IOMMU_VFIO_IOAS_SET } from '../../../lib/abi/iommufd.ts';
import * as abi from '../../../lib/abi/vfio.ts';
import * as deviceAbi from '../../../lib/abi/vfio-device.ts';
import { newIoas } from './ioas-calls.ts';
import type { Kit } from './kit.ts';

export const EDU = '0000:00:01.0';
export const GROUP_PATH = '/dev/vfio/1';
export const CDEV_PATH = '/dev/vfio/devices/vfio0';
export const CONTAINER_PATH = '/dev/vfio/vfio';

export const argszOf = (ioctl: { readonly struct: { readonly size: number } }): number => ioctl.struct.size;

export function bind(kit: Kit, what: string, cdev: number, iommufd: number, more: { flags?: number } = {}): number {
  const args = { argsz: argszOf(deviceAbi.VFIO_DEVICE_BIND_IOMMUFD), iommufd, ...more };
  return kit.call(what, cdev, deviceAbi.VFIO_DEVICE_BIND_IOMMUFD, args, ['out_devid']).out.out_devid;
}

export function attach(kit: Kit, what: string, cdev: number, pt_id: number, flags = 0): number {
  const args = { argsz: argszOf(deviceAbi.VFIO_DEVICE_ATTACH_IOMMUFD_PT), pt_id, flags };
  return kit.call(what, cdev, deviceAbi.VFIO_DEVICE_ATTACH_IOMMUFD_PT, args, ['pt_id']).out.pt_id;
}

export function detach(kit: Kit, what: string, cdev: number, flags = 0): void {
  const args = { argsz: argszOf(deviceAbi.VFIO_DEVICE_DETACH_IOMMUFD_PT), flags };
  kit.call(what, cdev, deviceAbi.VFIO_DEVICE_DETACH_IOMMUFD_PT, args);
}

export function setContainer(kit: Kit, what: string, group: number, fd: number): void {
  kit.call(what, group, abi.VFIO_GROUP_SET_CONTAINER, { fd });
}

export function status(kit: Kit, what: string, group: number, argsz = 8): void {
  kit.call(what, group, abi.VFIO_GROUP_GET_STATUS, { argsz }, ['flags']);
}

export function deviceFd(kit: Kit, what: string, group: number, name = EDU): number {
  return kit.keep(kit.call(what, group, abi.VFIO_GROUP_GET_DEVICE_FD, { name }).result);
}

interface DmaArgs {
  readonly flags?: number;
  readonly argsz?: number;
}

export function mapDma(
  kit: Kit,
  what: string,
  fd: number,
  vaddr: bigint,
  iova: bigint | number,
  size: bigint | number,
  { flags = 3, argsz = 32 }: DmaArgs = {},
): void {
  kit.call(what, fd, abi.VFIO_IOMMU_MAP_DMA, { argsz, flags, vaddr, iova, size });
}

export function unmapDma(
  kit: Kit,
  what: string,
  fd: number,
  iova: bigint | number,
  size: bigint | number,
  { flags = 0, argsz = 24 }: DmaArgs = {},
): void {
  kit.call(what, fd, abi.VFIO_IOMMU_UNMAP_DMA, { argsz, flags, iova, size }, ['size']);
}

/** A way to map for a device: what to map with, and by which interface. */
export interface Way {
  readonly name: string;
  /** The fd that takes VFIO_IOMMU_MAP_DMA. */
  open(kit: Kit): number;
}

function container(kit: Kit, type: number): number {
  const fd = kit.open(CONTAINER_PATH);
  const group = kit.open(GROUP_PATH);
  setContainer(kit, 'set container', group, fd);
  kit.value('set iommu', fd, abi.VFIO_SET_IOMMU, type);
  return fd;
}

/** An iommufd in the container's place. */
function compat(kit: Kit, type: number): number {
  const fd = kit.open('/dev/iommu');
  const ioas_id = newIoas(kit, fd);
  kit.call('vfio ioas', fd, IOMMU_VFIO_IOAS, { ioas_id, op: IOMMU_VFIO_IOAS_SET });
  kit.value('set iommu', fd, abi.VFIO_SET_IOMMU, type);
  return fd;
}

/** The same with a device in it. */
function compatWithDevice(kit: Kit, type: number): number {
  const fd = kit.open('/dev/iommu');
  const group = kit.open(GROUP_PATH);
  setContainer(kit, 'set container', group, fd);
  kit.value('set iommu', fd, abi.VFIO_SET_IOMMU, type);
  deviceFd(kit, 'device', group);
  return fd;
}

const { VFIO_TYPE1_IOMMU: V1, VFIO_TYPE1v2_IOMMU: V2 } = abi;

export const ways: readonly Way[] = [
  { name: 'type1 v2', open: (kit) => container(kit, V2) },
  { name: 'type1 v1', open: (kit) => container(kit, V1) },
  { name: 'compat v2', open: (kit) => compat(kit, V2) },
  { name: 'compat v1', open: (kit) => compat(kit, V1) },
  { name: 'compat v2 with a device', open: (kit) => compatWithDevice(kit, V2) },
  { name: 'compat v1 with a device', open: (kit) => compatWithDevice(kit, V1) },
];
