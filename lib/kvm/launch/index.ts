export type { CpuidEntry } from '../../abi/cpuid-list.ts';
export { LAUNCHABLE, type Launched, type LaunchOptions, launch, tryLaunch } from './launch.ts';
export type { LaunchRegion } from './region.ts';
export { type SevGuest, type SevInitOptions, type SnpFinishOptions, type SnpStartOptions, sevGuest } from './sev.ts';
export type { SevAttributes } from './sev-attributes.ts';
export { type TdInitOptions, type TdxCapabilities, type TdxGuest, tdxGuest } from './tdx.ts';
