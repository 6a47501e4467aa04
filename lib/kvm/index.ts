export type { CreateGuestMemfdOptions, GuestMemfd, MapOptions, Mapping, PageState } from '../guest-memfd/index.ts';
export type { BackendName, Features, HostOptions, VmType } from '../host/index.ts';
export { type CreateVmOptions, Host, openHost } from './host.ts';
export { MemoryRegion, type MemoryRegionOptions } from './memory-region.ts';
export { type MemoryAttributesOptions, Vm } from './vm.ts';
