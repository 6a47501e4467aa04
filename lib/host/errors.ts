/**
 * What can go wrong below the typed API. Wrong use is none of these: it is a TypeError or RangeError (`../abi/invalid.ts`).
 *
 * | class            | code              | meaning                                                        |
 * |------------------|-------------------|----------------------------------------------------------------|
 * | KernelError      | an errno's name   | a system call answered -errno                                  |
 * | VmDeadError      | EIO               | KVM refuses everything on this VM                              |
 * | UnsupportedError | ERR_UNSUPPORTED   | this kernel has no way to do it; nothing was asked of it       |
 * | ClosedError      | ERR_CLOSED        | the object was closed before; nothing was asked of the kernel  |
 */

import { inspect } from 'node:util';
import { type ErrnoName, errno, errnoName, errnoText } from '../abi/errno.ts';
import type { FirmwareError } from '../abi/sev-errors.ts';
import { hintFor } from './hints.ts';

/** The system call that failed. */
export interface FailedCall {
  /** The system call, or `copyIn` and `copyOut` for an access to mapped memory. */
  readonly syscall: string;
  /** An ioctl's name, or its number as 0x... where nobody knows it. */
  readonly request?: string;
  /** The command inside the ioctl, where it carries several. */
  readonly command?: string;
  /** What the hardware's firmware answered. */
  readonly firmware?: FirmwareError;
  readonly fd?: number;
  /** The arguments by name, as the caller gave them. */
  readonly args?: Readonly<Record<string, unknown>>;
  /** The file offset of the page that blocked the call; see KernelError. */
  readonly errorOffset?: bigint;
  /** How many bytes, or ranges, were done before the failure. */
  readonly completed?: number;
  /** How often the call was made. */
  readonly attempts?: number;
  /** What went wrong while undoing what was done before the failure. */
  readonly undoing?: readonly KernelError[];
  /** Replaces what the hint table says. */
  readonly hint?: string;
}

/** A name for every errno; a number Linux does not use can only come from a kernel bug, and is shown as E512. */
const codeOf = (number: number): ErrnoName => errnoName(number) ?? (`E${Math.abs(number)}` as ErrnoName);

/** A system call answered -errno. Its properties are Node's, with the ioctl's name and arguments added. */
export class KernelError extends Error {
  /** The errno's name, as in `EAGAIN`. */
  readonly code: ErrnoName;
  /** Negative, as in Node's own errors. */
  readonly errno: number;
  readonly syscall: string;
  declare readonly request?: string;
  /** The command inside the ioctl, as in `KVM_SEV_SNP_LAUNCH_START`. */
  declare readonly command?: string;
  /** What SEV's firmware or the TDX module answered, by name, and what to do about it. */
  declare readonly firmware?: FirmwareError;
  declare readonly fd?: number;
  declare readonly args?: Readonly<Record<string, unknown>>;
  /**
   * The file offset of the first page that blocked a conversion. Only present on EAGAIN: for ENOMEM some kernels
   * leave an uninitialised number there.
   */
  declare readonly errorOffset?: bigint;
  /** Bytes (of a copy, or of a conversion in several pieces) or arguments (of ioctlMany) done before the failure. */
  declare readonly completed?: number;
  /** How often a conversion was tried. */
  declare readonly attempts?: number;
  /** What went wrong while undoing what was done before the failure; absent where nothing did. */
  declare readonly undoing?: readonly KernelError[];
  /** What to do about it, where that is known. */
  declare readonly hint?: string;

  constructor(call: FailedCall, number: number) {
    const code = codeOf(number);
    const hint = call.hint ?? call.firmware?.advice ?? hintFor(call, code);
    super(describe(call, code, number, hint));
    this.code = code;
    this.errno = number;
    this.syscall = call.syscall;
    for (const key of [
      'request',
      'command',
      'firmware',
      'fd',
      'args',
      'errorOffset',
      'completed',
      'attempts',
      'undoing',
    ] as const) {
      if (call[key] !== undefined) Object.defineProperty(this, key, { value: call[key], enumerable: true });
    }
    if (hint !== undefined) Object.defineProperty(this, 'hint', { value: hint, enumerable: true });
  }

  /** The same error with more known about the call. */
  with(more: Partial<FailedCall>): KernelError {
    return new (this.constructor as typeof KernelError)({ ...this, ...more }, this.errno);
  }

  /** For JSON, which has no bigint: 64-bit numbers become '0x...'. */
  toJSON(): Record<string, unknown> {
    const plain = Object.assign({ name: this.name, message: this.message }, this);
    return JSON.parse(
      JSON.stringify(plain, (_, value) => (typeof value === 'bigint' ? `0x${value.toString(16)}` : value)),
    );
  }
}

function describe(call: FailedCall, code: string, number: number, hint: string | undefined): string {
  const parts = [`${code}: ${errnoText(number)}, ${call.syscall}`];
  if (call.request !== undefined) parts.push(call.request);
  if (call.command !== undefined) parts.push(call.command);
  if (call.fd !== undefined) parts.push(`on fd ${call.fd}`);
  if (call.args !== undefined && Object.keys(call.args).length > 0)
    parts.push(inspect(call.args, { depth: 3, breakLength: Infinity, maxArrayLength: 8 }));
  if (call.firmware !== undefined)
    parts.push(`(firmware: ${call.firmware.name}, 0x${call.firmware.code.toString(16)})`);
  if (call.attempts !== undefined && call.attempts > 1) parts.push(`after ${call.attempts} attempts`);
  if (hint !== undefined) parts.push(`-> ${hint}`);
  return parts.join(' ');
}

/**
 * KVM answers EIO to everything on this VM, KVM_CHECK_EXTENSION included: it marked the VM dead after a bug or a
 * failed hardware operation, or this is not the process that created it (kvm_vm_ioctl() checks `kvm->mm` and `vm_dead`).
 */
export class VmDeadError extends KernelError {
  constructor(call: FailedCall) {
    super({ ...call, hint: VM_DEAD }, -errno.EIO);
  }
}

const VM_DEAD =
  'KVM killed the VM; see the kernel log (dmesg). It answers EIO to everything, so close it and make another. ' +
  'A process forked after the VM was created gets the same answer';

/** One thing a probe asked of the kernel, and the answer: an errno's name, or what a success returned. */
export interface ProbeAnswer {
  readonly request: string;
  readonly answer: string;
}

/** This kernel, or this VM type, has no way to do what was asked. No system call was made for it. */
export class UnsupportedError extends Error {
  readonly code = 'ERR_UNSUPPORTED';
  /** What the probe at openHost() asked, where that is the reason. */
  readonly probes: readonly ProbeAnswer[];

  constructor(message: string, probes: readonly ProbeAnswer[] = []) {
    const answers = probes.map(({ request, answer }) => `${request}: ${answer}`).join(', ');
    super(answers === '' ? message : `${message} (probed: ${answers})`);
    this.probes = probes;
  }
}

/** Use after close. No system call was made. */
export class ClosedError extends Error {
  readonly code = 'ERR_CLOSED';

  constructor(what: string) {
    super(`${what} is closed`);
  }
}

// On the prototype, where Error's own classes have it: a field would show up among the error's details.
for (const { prototype, name } of [KernelError, VmDeadError, UnsupportedError, ClosedError]) {
  Object.defineProperty(prototype, 'name', { value: name, writable: true, configurable: true });
}

/** Whether it is a kernel's refusal, and where codes are given, one of these. */
export function isKernelError<C extends ErrnoName = ErrnoName>(
  error: unknown,
  ...codes: readonly C[]
): error is KernelError & { readonly code: C } {
  return error instanceof KernelError && (codes.length === 0 || (codes as readonly string[]).includes(error.code));
}

export const isVmDeadError = (error: unknown): error is VmDeadError => error instanceof VmDeadError;
export const isUnsupportedError = (error: unknown): error is UnsupportedError => error instanceof UnsupportedError;
export const isClosedError = (error: unknown): error is ClosedError => error instanceof ClosedError;
