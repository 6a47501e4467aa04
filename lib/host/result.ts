/** A kernel's answer as a value: what every `try*` method returns. */

import type { ErrnoName } from '../abi/errno.ts';
import { type FailedCall, KernelError } from './errors.ts';

export interface Success<T> {
  readonly ok: true;
  readonly value: T;
}

export interface Failure {
  readonly ok: false;
  readonly code: ErrnoName;
  /** Negative. */
  readonly errno: number;
  /** The file offset of the page that blocked a conversion; on EAGAIN only. */
  readonly errorOffset?: bigint;
  /** What the throwing twin would have thrown. */
  readonly error: KernelError;
}

export type Result<T> = Success<T> | Failure;

export const success = <T>(value: T): Success<T> => ({ ok: true, value });

/** Turns -errno into a failure: the one place where the kernel's answers become KernelErrors. */
export function failure(call: FailedCall, errno: number): Failure {
  return failed(new KernelError(call, errno));
}

export function failed(error: KernelError): Failure {
  const { code, errno, errorOffset } = error;
  return errorOffset === undefined ? { ok: false, code, errno, error } : { ok: false, code, errno, errorOffset, error };
}

/** The value, or the failure's error thrown: every throwing method is its `try*` twin and this. */
export function unwrap<T>(result: Result<T>): T {
  if (result.ok) return result.value;
  throw blamingCaller(result.error, unwrap);
}

/** An ioctl's success, or its failure's error thrown. */
export function unwrapIoctl<O extends { readonly ok: boolean }>(outcome: O): Extract<O, { ok: true }> {
  if (!outcome.ok) throw blamingCaller((outcome as unknown as Failure).error, unwrapIoctl);
  return outcome as Extract<O, { ok: true }>;
}

/** A stack that starts at the public method and its caller, not at the ten frames in which the error was made. */
function blamingCaller(error: KernelError, below: (...args: never[]) => unknown): KernelError {
  Error.captureStackTrace(error, below);
  return error;
}
