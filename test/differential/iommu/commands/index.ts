/** The commands of iommufd and of VFIO. */

export { accessCommands } from './access.ts';
export { containerCommands, DEVICE } from './container.ts';
export { deviceCommands } from './device.ts';
export { dmaCommands } from './dma.ts';
export { fileCommands as iommuFileCommands } from './files.ts';
export { ioasCommands } from './ioas.ts';
export { mapCommands } from './map.ts';
export { memfdCommands } from './memfd.ts';
export { mockCheckCommands, mockDeviceCommands } from './mock-devices.ts';
export { sizeCommands } from './sizes.ts';
export { tableCommands } from './tables.ts';
