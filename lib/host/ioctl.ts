/**
 * One ioctl, from field values to an outcome. Every request of the typed API and of `raw` goes through here, so that
 * encoding, decoding and the making of errors are written once.
 */

import { type ErrnoName, errno } from '../abi/errno.ts';
import { checkBigint, checkBytes, checkU64, tooSmall, wrongType } from '../abi/invalid.ts';
import type { Ioctl, IoctlIn, IoctlOut } from '../abi/ioctl.ts';
import { pointersIn } from '../abi/pointer.ts';
import { requestName } from '../abi/table.ts';
import { checkIoctlArg } from '../syscalls/arguments.ts';
import type { Address, IoctlArg, Pointer, Syscalls } from '../syscalls/seam.ts';
import type { FailedCall, KernelError } from './errors.ts';
import { failure } from './result.ts';

export interface IoctlSuccess<Out> {
  readonly ok: true;
  /** What the system call returned: 0, a number, or an fd; see the declaration's `returns`. */
  readonly ret: number;
  /** The struct as the kernel left it. */
  readonly out: Out;
}

export interface IoctlFailure<Out> {
  readonly ok: false;
  readonly code: ErrnoName;
  /** Negative. */
  readonly errno: number;
  /** The same as errno: what the system call returned. */
  readonly ret: number;
  /** The struct as the kernel left it: in-out structs change in failure too. */
  readonly out: Out;
  readonly errorOffset?: bigint;
  readonly error: KernelError;
}

export type IoctlOutcome<Out> = IoctlSuccess<Out> | IoctlFailure<Out>;

/** What `raw` takes for an ioctl: fields, the struct's bytes as they are, or an address in a mapping. */
export type RawArg<I extends Ioctl> = IoctlIn<I> | Uint8Array | Address;

/** A call ready to be made, and how to read its answer. */
export interface PreparedIoctl<Out> {
  readonly call: 'ioctl' | 'ioctlFd';
  readonly request: number;
  readonly arg: IoctlArg;
  /** The buffers that the struct points to. */
  readonly pointers?: readonly Pointer[];
  finish(ret: number): IoctlOutcome<Out>;
}

/** An ioctl by its declaration. */
export function prepareIoctl<I extends Ioctl>(fd: number, ioctl: I, args: RawArg<I>): PreparedIoctl<IoctlOut<I>> {
  const arg = encode(ioctl, args);
  const decode = () => (arg instanceof Uint8Array && ioctl.struct ? ioctl.struct.decode(arg) : undefined);
  const call = { fd, ioctl, args: shown(ioctl, args, arg) };
  const pointers = ioctl.struct && arg !== args ? pointersIn(ioctl.struct, args) : [];
  return {
    call: ioctl.returns === 'fd' ? 'ioctlFd' : 'ioctl',
    request: ioctl.request,
    arg,
    ...(pointers.length > 0 && { pointers }),
    finish: (ret) => finish(call, ret, decode() as IoctlOut<I>),
  };
}

/** An ioctl by number, whose bytes nobody here understands. */
export function prepareNumber(fd: number, request: number, arg: IoctlArg): PreparedIoctl<IoctlArg> {
  checkIoctlArg(request, arg);
  const args = arg instanceof Uint8Array ? { bytes: arg.byteLength } : { arg };
  const call = { fd, ioctl: request, args };
  return { call: 'ioctl', request, arg, finish: (ret) => finish(call, ret, arg) };
}

/** Makes the call. */
export async function issue<Out>(
  syscalls: Syscalls,
  fd: number,
  { call, request, arg, pointers, finish }: PreparedIoctl<Out>,
): Promise<IoctlOutcome<Out>> {
  return finish(await syscalls[call](fd, request, arg, pointers));
}

export function issueSync<Out>(
  syscalls: Syscalls,
  fd: number,
  { call, request, arg, pointers, finish }: PreparedIoctl<Out>,
): IoctlOutcome<Out> {
  return finish(syscalls[`${call}Sync`](fd, request, arg, pointers));
}

interface Issued {
  readonly fd: number;
  readonly ioctl: Ioctl | number;
  readonly args: Readonly<Record<string, unknown>>;
}

function finish<Out>({ fd, ioctl, args }: Issued, ret: number, out: Out): IoctlOutcome<Out> {
  if (ret >= 0) return { ok: true, ret, out };
  const call: FailedCall = { syscall: 'ioctl', request: requestName(ioctl), fd, args, ...errorOffset(ret, out) };
  return { ...failure(call, ret), ret, out };
}

/** Only EAGAIN leaves a meaningful number there: for ENOMEM RFC v2 writes back an uninitialised one. */
function errorOffset(ret: number, out: unknown): { errorOffset?: bigint } {
  if (ret !== -errno.EAGAIN || typeof out !== 'object' || out === null || !('error_offset' in out)) return {};
  return { errorOffset: out.error_offset as bigint };
}

function encode(ioctl: Ioctl, args: unknown): IoctlArg {
  if (ioctl.struct === undefined) return plainValue(args);
  if (args instanceof Uint8Array) {
    checkBytes('args', args);
    if (args.byteLength < ioctl.struct.size) throw tooSmall('args', ioctl.struct.size, args.byteLength);
    return args;
  }
  return isAddress(ioctl, args) ? args : ioctl.struct.encode(args as object);
}

function plainValue(args: unknown): IoctlArg {
  if (isAddress(undefined, args)) return args;
  if (typeof args !== 'number' && typeof args !== 'bigint') throw wrongType('args', 'a number or a bigint', args);
  return Number(checkBigint('args', args, 0n, BigInt(Number.MAX_SAFE_INTEGER)));
}

/** `{ address }` alone points to memory, unless the struct has a field of that name. */
function isAddress(ioctl: Ioctl | undefined, args: unknown): args is Address {
  if (typeof args !== 'object' || args === null || !('address' in args) || Object.keys(args).length !== 1) return false;
  if (ioctl?.struct?.fields.some(({ name }) => name === 'address')) return false;
  checkU64('args.address', args.address);
  if (typeof args.address !== 'bigint') throw wrongType('args.address', 'a bigint', args.address);
  return true;
}

/** A copy of the arguments for the error, which may be read after the caller changed them. */
function shown(ioctl: Ioctl, args: unknown, arg: IoctlArg): Readonly<Record<string, unknown>> {
  if (arg instanceof Uint8Array)
    return arg === args && ioctl.struct ? ioctl.struct.decode(arg) : { ...(args as object) };
  return typeof arg === 'number' ? { arg } : { ...arg };
}
