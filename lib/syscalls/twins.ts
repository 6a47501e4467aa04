/** For backends that can only answer at once (ffi, mock): the asynchronous twin of every call. */

import { CALL_NAMES, type CallName, type Calls, type Syscalls } from './seam.ts';

/**
 * Builds a Syscalls from synchronous calls. The call is made when it is issued, so order is kept by construction;
 * what it throws rejects the promise.
 */
export function withTwins(calls: Calls, own: Omit<Syscalls, CallName | `${CallName}Sync`>): Syscalls {
  const built: Record<string, unknown> = { ...own };
  for (const name of CALL_NAMES) {
    const call = calls[name].bind(calls) as (...args: unknown[]) => unknown;
    built[`${name}Sync`] = call;
    built[name] = async (...args: unknown[]) => call(...args);
  }
  return withFastLookup(built) as unknown as Syscalls;
}

/**
 * The same object, copied. V8 keeps one that was filled under computed names as a hash table, which costs a call through
 * it some tens of nanoseconds; a copy has a shape.
 */
export const withFastLookup = <T extends object>(built: T): T => ({ ...built });
