/**
 * The steps of what a GuestRam does, as they happen, on the diagnostics channel `guest-memfd:ram`:
 *
 * ```ts
 * import { subscribe } from 'node:diagnostics_channel';
 * subscribe('guest-memfd:ram', (step) => console.log(step));
 * ```
 */

import { channel } from 'node:diagnostics_channel';
import type { PageState } from '../guest-memfd/index.ts';
import type { KernelError, Result } from '../host/index.ts';

/** `restore` is a `map`, `unmap` or `convert` that takes an earlier step back. */
export interface RamStep {
  readonly step: 'unmap' | 'convert' | 'punch-hole' | 'map' | 'restore-map' | 'restore-unmap' | 'restore-convert';
  /** Bytes from the start of the guest_memfd. */
  readonly offset: bigint;
  readonly size: bigint;
  /** The space that was mapped or unmapped, by its title. */
  readonly space?: string;
  readonly iova?: bigint;
  readonly to?: PageState;
  /** What the kernel said, where it refused. */
  readonly error?: KernelError;
}

export const ramChannel = channel('guest-memfd:ram');

/** Puts a step on record with its outcome, and passes that on. */
export async function traced<T>(step: RamStep, work: Promise<Result<T>>): Promise<Result<T>> {
  const result = await work;
  if (ramChannel.hasSubscribers) ramChannel.publish(result.ok ? step : { ...step, error: result.error });
  return result;
}
