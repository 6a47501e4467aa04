export type { CreateGuestMemfdOptions, GuestMemfd, MapOptions, Mapping, PageState } from '../guest-memfd/index.ts';
export type { BackendName, Features, HostOptions, VmType } from '../host/index.ts';
export type * from './exits.ts';
export {
  type AccessOptions,
  type CreateGuestOptions,
  Guest,
  type GuestAsked,
  type GuestRead,
  type GuestStopped,
  type GuestSupport,
  type GuestWrite,
} from './guest/index.ts';
export { type CreateVmOptions, Host, openHost } from './host.ts';
export {
  type CpuidEntry,
  LAUNCHABLE,
  type Launched,
  type LaunchOptions,
  type LaunchRegion,
  launch,
  type SevGuest,
  type SevInitOptions,
  type SnpFinishOptions,
  type SnpStartOptions,
  sevGuest,
  type TdInitOptions,
  type TdxCapabilities,
  type TdxGuest,
  tdxGuest,
  tryLaunch,
} from './launch/index.ts';
export { MemoryRegion, type MemoryRegionOptions } from './memory-region.ts';
export type { Vcpu } from './vcpu.ts';
export { VmVfio } from './vfio.ts';
export { Vm } from './vm.ts';
export type { CreateVcpuOptions, MemoryAttributesOptions } from './vm-options.ts';
