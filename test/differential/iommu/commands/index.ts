/** The commands of iommufd and of VFIO. */

export { accessCommands } from './access.ts';
export { containerCommands, DEVICE } from './container.ts';
export { deviceCommands } from './device.ts';
export { fileCommands as iommuFileCommands } from './files.ts';
export { ioasCommands } from './ioas.ts';
export { memfdCommands } from './memfd.ts';
export { sizeCommands } from './sizes.ts';
export { mockDeviceCommands, tableCommands } from './tables.ts';
