export { chooseBackend, type OpenedBackend } from './backend.ts';
export { type ConfidentialType, confidentialTypes, type Lack, whyNoVmType } from './confidential.ts';
export { Context } from './context.ts';
export { HostCore, type Parts, probeBackend } from './core.ts';
export {
  type ConversionCall,
  conversions,
  dialectNames,
  type FlagRules,
  flagRules,
  type InitialState,
} from './dialects.ts';
export {
  ClosedError,
  type FailedCall,
  isClosedError,
  isKernelError,
  isUnsupportedError,
  isVmDeadError,
  KernelError,
  type ProbeAnswer,
  UnsupportedError,
  VmDeadError,
} from './errors.ts';
export { type FdLike, fdNumber, OwnedFd } from './fd.ts';
export type { Availability, CreateFlags, Features, IommuFeatures } from './features.ts';
export { checkReleased, type Dependent, Handle } from './handle.ts';
export { type HugePagePool, poolHint, readHugePagePools } from './huge-pages.ts';
export {
  type IoctlFailure,
  type IoctlOutcome,
  type IoctlSuccess,
  issue,
  prepareIoctl,
  type RawArg,
} from './ioctl.ts';
export type { ManyOutcome } from './ioctl-many.ts';
export {
  type BackendName,
  checkHostOptions,
  type ForcedDialect,
  forcedDialect,
  type HostOptions,
} from './options.ts';
export { checkPages } from './pages.ts';
export type { NumericArg, Raw } from './raw.ts';
export { FdResource, Resource } from './resource.ts';
export { type Failure, failed, failure, type Result, type Success, success, unwrap, unwrapIoctl } from './result.ts';
export { recogniseDeath } from './vm-dead.ts';
export { type VmType, vmTypeNames, vmTypeNumbers, vmTypesOf } from './vm-types.ts';
