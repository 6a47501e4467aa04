export { Bindings } from './bindings.ts';
export { GuestMemfd } from './guest-memfd.ts';
export { Mapping } from './mapping.ts';
export {
  type ConvertRange,
  type CreateGuestMemfdOptions,
  checkConvert,
  checkCreate,
  checkRange,
  type MapOptions,
  type PageState,
  type Range,
} from './options.ts';
export type { ConvertOptions, RetryOptions } from './retry.ts';
