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
export {
  type BackendName,
  ClosedError,
  type CreateFlags,
  type Failure,
  type FdLike,
  type Features,
  type HostOptions,
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
  type MemoryAttributesOptions,
  type MemoryRegion,
  type MemoryRegionOptions,
  openHost,
  type TouchOptions,
  type Vcpu,
  type VcpuExit,
  type Vm,
} from './kvm/index.ts';

export type { Address, ManyResult, Pointer, Stat, Syscalls } from './syscalls/seam.ts';
export { BackendUnavailableError } from './syscalls/unavailable.ts';
