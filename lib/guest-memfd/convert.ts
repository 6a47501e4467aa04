/** Conversion: what is asked of which fd in each dialect, and how a refusal is told. */

import type { Dialect } from '../abi/ioctl.ts';
import {
  type Context,
  type ConversionCall,
  conversions,
  failed,
  flagRules,
  type InitialState,
  type IoctlOutcome,
  issue,
  type KernelError,
  type OwnedFd,
  prepareIoctl,
  type Result,
  recogniseDeath,
  success,
  UnsupportedError,
} from '../host/index.ts';
import type { Bindings } from './bindings.ts';
import { type Patience, persist } from './retry.ts';

/** One request of a conversion; in-place dialects need one, `vm-attributes` one for each region. */
export interface Step extends ConversionCall {
  readonly fd: OwnedFd;
  readonly size: bigint;
  /** Set where the request goes to a VM, which may be dead. */
  readonly vm: boolean;
}

/** The file, as far as a conversion is concerned. */
export interface Convertible {
  readonly fd: OwnedFd;
  readonly flags: bigint;
  readonly bindings: Bindings;
}

/** @throws UnsupportedError when this kernel, or this file, cannot; RangeError when a part is bound nowhere. */
export function planConversion(
  { features }: Context,
  file: Convertible,
  offset: bigint,
  size: bigint,
  to: InitialState,
): Step[] {
  const { dialect, dialectProbes, dialectReason } = features;
  if (dialect === 'none') {
    throw new UnsupportedError(`this kernel converts no memory: ${dialectReason}`, dialectProbes);
  }
  if (!flagRules[dialect].convertible(file.flags)) throw new UnsupportedError(NO_EFFECT);
  return steps(dialect, file, offset, size, to);
}

const NO_EFFECT =
  'this guest_memfd was made without mmap: true, so without GUEST_MEMFD_FLAG_SUPPORT_SHARED: ' +
  'the kernel would answer success, and change nothing (dialect rfc-convert)';

function steps(
  dialect: Exclude<Dialect, 'none'>,
  { fd, bindings }: Convertible,
  offset: bigint,
  size: bigint,
  to: InitialState,
): Step[] {
  const { on, call } = conversions[dialect];
  if (on === 'guest-memfd') return [{ ...call(offset, size, to), fd, size, vm: false }];
  return bindings
    .cover(offset, size)
    .map((piece) => ({ ...call(piece.guestPhysAddr, piece.size, to), fd: piece.vm, size: piece.size, vm: true }));
}

/** Makes the requests in turn. Each try encodes anew, so that error_offset is 0 on entry as RFC v2 demands. */
export async function convertAll(context: Context, steps: readonly Step[], patience: Patience): Promise<Result<void>> {
  let completed = 0n;
  for (const step of steps) {
    const { outcome, attempts } = await persist(patience, () => once(context, step), isBlocked);
    if (!outcome.ok) return failed(withProgress(outcome.error, attempts, steps.length > 1 ? completed : undefined));
    completed += step.size;
  }
  return success(undefined);
}

const isBlocked = (outcome: IoctlOutcome<unknown>): boolean => !outcome.ok && outcome.code === 'EAGAIN';

function once({ syscalls }: Context, { fd, ioctl, args, vm }: Step): Promise<IoctlOutcome<unknown>> {
  return fd.use(async () => {
    const outcome = await issue(syscalls, fd.number, prepareIoctl(fd.number, ioctl, args));
    return vm ? await recogniseDeath(syscalls, fd.number, outcome) : outcome;
  });
}

function withProgress(error: KernelError, attempts: number, completed: bigint | undefined): KernelError {
  return error.with(completed === undefined ? { attempts } : { attempts, completed: Number(completed) });
}
