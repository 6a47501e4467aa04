/** guest-memfd: a Linux kernel's confidential-memory interfaces. */

// Ioctls, structs and constants under the kernel's own names; also alone, as `guest-memfd/abi`.
export * from './abi/index.ts';

export type {
  ConvertOptions,
  ConvertRange,
  CreateGuestMemfdOptions,
  GuestMemfd,
  MapOptions,
  Mapping,
  PageState,
  Range,
  RetryOptions,
} from './guest-memfd/index.ts';
export * from './guest-ram/index.ts';
export {
  type Availability,
  type BackendName,
  ClosedError,
  type CreateFlags,
  type Failure,
  type FdLike,
  type Features,
  type HostOptions,
  type HugePagePool,
  type IoctlFailure,
  type IoctlOutcome,
  type IoctlSuccess,
  isClosedError,
  isKernelError,
  isUnsupportedError,
  isVmDeadError,
  KernelError,
  type ManyOutcome,
  type NumericArg,
  type ProbeAnswer,
  type Raw,
  type RawArg,
  type Result,
  type Success,
  UnsupportedError,
  VmDeadError,
  type VmType,
} from './host/index.ts';
export type * from './iommu/index.ts';
export {
  DeviceInUseError,
  DirtyBitmap,
  EduDevice,
  isDeviceInUseError,
} from './iommu/index.ts';
export {
  type CreateGuestOptions,
  type CreateVcpuOptions,
  type CreateVmOptions,
  type Guest,
  type GuestAsked,
  type GuestRead,
  type GuestStopped,
  type GuestSupport,
  type GuestWrite,
  type Host,
  type Launched,
  type LaunchOptions,
  type LaunchRegion,
  launch,
  type MemoryAttributesOptions,
  type MemoryRegion,
  type MemoryRegionOptions,
  openHost,
  type SevGuest,
  type SevInitOptions,
  type SnpFinishOptions,
  type SnpStartOptions,
  sevGuest,
  type TdInitOptions,
  type TdxCapabilities,
  type TdxGuest,
  type TouchOptions,
  tdxGuest,
  tryLaunch,
  type Vcpu,
  type VcpuExit,
  type Vm,
  type VmVfio,
} from './kvm/index.ts';

export { isMockHostCrashedError, MockHostCrashedError } from './syscalls/host-crashed.ts';
export type { Address, ManyResult, Pointer, Stat, Syscalls } from './syscalls/seam.ts';
export { BackendUnavailableError } from './syscalls/unavailable.ts';
