export { type BindOptions, VfioBinding } from './bind.ts';
export {
  type ContainerDriver,
  type ContainerExtension,
  type ContainerInfo,
  type MapDmaOptions,
  VfioContainer,
} from './container.ts';
export { VfioDevice, type VfioDeviceInfo } from './device.ts';
export { EduDevice, type EduOptions, isEdu } from './edu.ts';
export { DeviceInUseError, isDeviceInUseError } from './errors.ts';
export { type GroupStatus, VfioGroup } from './group.ts';
export { DirtyBitmap, type DirtyOptions, Hwpt } from './hwpt.ts';
export type { IommuGroup, PciDevice } from './inventory.ts';
export { Ioas, type IoasCopyOptions } from './ioas.ts';
export type { IoasMapFileOptions, IoasMapOptions } from './ioas-options.ts';
export { type DeviceLike, type HwInfo, type HwptOptions, Iommufd, type RlimitMode } from './iommufd.ts';
export type { IovaRanges } from './iova-ranges.ts';
export { type IrqName, type IrqOptions, VfioIrq, type VfioIrqInfo, type WaitOptions } from './irq.ts';
export { type MemoryOptions, tryMemory } from './memory.ts';
export { tryIommufd } from './open.ts';
export type { Access, InclusiveRange, IovaRange, MapMemoryOptions } from './options.ts';
export { type MapRegionOptions, type RegionName, VfioRegion, type Width } from './region.ts';
export { IommufdTest, MockAccess, MockDevice, type TransferOptions } from './test-driver.ts';
export { type OpenDeviceOptions, Vfio } from './vfio.ts';
