export { type CreateGuestOptions, createGuest, DEFAULT_BASE } from './create.ts';
export {
  type AccessOptions,
  Guest,
  type GuestAsked,
  type GuestRead,
  type GuestStopped,
  type GuestWrite,
} from './guest.ts';
export { type GuestSupport, tryGuest } from './support.ts';
export type { OnHypercall } from './worker.ts';
