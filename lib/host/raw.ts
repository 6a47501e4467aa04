/**
 * The ioctls themselves: what is passed reaches the kernel, valid or not, since testing EINVAL is the job.
 * Two things are still refused, because they would break this process and not the test: a buffer smaller than the
 * kernel would touch, and an address outside the mappings made here.
 */

import { checkInteger, wrongType, wrongValue } from '../abi/invalid.ts';
import { type Ioctl, type IoctlIn, type IoctlOut, requestSize } from '../abi/ioctl.ts';
import type { Struct } from '../abi/struct.ts';
import { requestName } from '../abi/table.ts';
import type { Address, Syscalls } from '../syscalls/seam.ts';
import type { Context } from './context.ts';
import { type FdLike, fdNumber } from './fd.ts';
import {
  type IoctlOutcome,
  type IoctlSuccess,
  issue,
  issueSync,
  type PreparedIoctl,
  prepareIoctl,
  prepareNumber,
  type RawArg,
} from './ioctl.ts';
import { issueMany, type ManyOutcome } from './ioctl-many.ts';
import { unwrapIoctl } from './result.ts';

/** What a request given by number is passed: bytes (changed in place), a plain value, or an address in a mapping. */
export type NumericArg = Uint8Array | number | Address;

const U32_MAX = 0xffff_ffff;

export class Raw {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  /** The seam: every system call the package makes, answering -errno as a value. Fds from it are yours to close. */
  get syscalls(): Syscalls {
    this.#context.handle.checkOpen();
    return this.#context.syscalls;
  }

  /**
   * Issues an ioctl by its declaration (`guest-memfd/abi`), with any values.
   *
   * `args` are the struct's fields (left out: 0), its bytes as a Uint8Array (changed in place), or `{ address }`, a
   * pointer into a mapping made here; for a struct that itself has an `address` field the latter means that field, so
   * issue such an ioctl by number instead. A request without a struct takes a number below 2^53.
   *
   * An fd that the ioctl returns belongs to the host: `raw.close(fd)`, or the host's close, closes it.
   *
   * ```ts
   * await host.raw.ioctl(gmem, KVM_GMEM_CONVERT_PRIVATE, { offset: 1n, size: 0n, error_offset: 7n }); // EINVAL
   * ```
   *
   * @throws KernelError whatever the kernel answers, with its errno.
   * @throws TypeError, RangeError when a value does not fit its field, or the bytes are too few.
   */
  ioctl<I extends Ioctl>(fd: FdLike, ioctl: I, args?: RawArg<I>): Promise<IoctlSuccess<IoctlOut<I>>>;
  /** Issues an ioctl by its request number. Nothing is decoded and a returned fd is yours; `out` is what you passed. */
  ioctl<A extends NumericArg = 0>(fd: FdLike, request: number, arg?: A): Promise<IoctlSuccess<A>>;
  async ioctl(fd: FdLike, request: Ioctl | number, args?: unknown): Promise<IoctlSuccess<unknown>> {
    return unwrapIoctl(await this.#issue(fd, request, args));
  }

  /** As `ioctl`, with the kernel's refusal as a value; `out` is what the kernel left in the struct, in failure too. */
  tryIoctl<I extends Ioctl>(fd: FdLike, ioctl: I, args?: RawArg<I>): Promise<IoctlOutcome<IoctlOut<I>>>;
  tryIoctl<A extends NumericArg = 0>(fd: FdLike, request: number, arg?: A): Promise<IoctlOutcome<A>>;
  tryIoctl(fd: FdLike, request: Ioctl | number, args?: unknown): Promise<IoctlOutcome<unknown>> {
    return this.#issue(fd, request, args);
  }

  /** As `ioctl`, at once, on this thread. @throws Error ERR_CALLS_IN_FLIGHT while an asynchronous call on the fd runs. */
  ioctlSync<I extends Ioctl>(fd: FdLike, ioctl: I, args?: RawArg<I>): IoctlSuccess<IoctlOut<I>>;
  ioctlSync<A extends NumericArg = 0>(fd: FdLike, request: number, arg?: A): IoctlSuccess<A>;
  ioctlSync(fd: FdLike, request: Ioctl | number, args?: unknown): IoctlSuccess<unknown> {
    return unwrapIoctl(this.#issueSync(fd, request, args));
  }

  /** As `tryIoctl`, at once, on this thread. */
  tryIoctlSync<I extends Ioctl>(fd: FdLike, ioctl: I, args?: RawArg<I>): IoctlOutcome<IoctlOut<I>>;
  tryIoctlSync<A extends NumericArg = 0>(fd: FdLike, request: number, arg?: A): IoctlOutcome<A>;
  tryIoctlSync(fd: FdLike, request: Ioctl | number, args?: unknown): IoctlOutcome<unknown> {
    return this.#issueSync(fd, request, args);
  }

  /**
   * Issues one ioctl over a list of arguments in one crossing to the kernel's side, stopping at the first refusal.
   * Not for ioctls that return fds.
   *
   * @throws KernelError of the one that was refused; its `completed` says how many were done before.
   */
  async ioctlMany<I extends Ioctl>(
    fd: FdLike,
    ioctl: I,
    list: readonly IoctlIn<I>[],
  ): Promise<Extract<ManyOutcome<IoctlOut<I>>, { ok: true }>> {
    return unwrapIoctl(await this.tryIoctlMany(fd, ioctl, list));
  }

  /** As `ioctlMany`, with the refusal as a value. */
  async tryIoctlMany<I extends Ioctl>(
    fd: FdLike,
    ioctl: I,
    list: readonly IoctlIn<I>[],
  ): Promise<ManyOutcome<IoctlOut<I>>> {
    const { handle, syscalls } = this.#context;
    handle.checkOpen();
    checkDeclaration(ioctl);
    const number = fdNumber(fd);
    return await handle.use(() => issueMany(syscalls, number, ioctl, list));
  }

  /**
   * Closes an fd that this host owns: one that `ioctl` returned, or a typed object's, which is then closed.
   * @throws RangeError for any other, KernelError when the kernel reports an error.
   */
  async close(fd: number): Promise<void> {
    this.#context.handle.checkOpen();
    const number = fdNumber(fd);
    const owned = this.#context.find(number);
    if (!owned) {
      throw Object.assign(new RangeError(`fd ${number} is not this host's to close`), { code: 'ERR_OUT_OF_RANGE' });
    }
    await this.#context.close(owned);
  }

  async #issue(fd: FdLike, request: Ioctl | number, args: unknown): Promise<IoctlOutcome<unknown>> {
    const { handle, syscalls } = this.#context;
    handle.enter();
    try {
      const number = fdNumber(fd);
      return this.#own(request, await issue(syscalls, number, prepare(number, request, args)));
    } finally {
      handle.leave();
    }
  }

  #issueSync(fd: FdLike, request: Ioctl | number, args: unknown): IoctlOutcome<unknown> {
    const { handle, syscalls } = this.#context;
    handle.checkOpen();
    const number = fdNumber(fd);
    return this.#own(request, issueSync(syscalls, number, prepare(number, request, args)));
  }

  #own<O>(request: Ioctl | number, outcome: IoctlOutcome<O>): IoctlOutcome<O> {
    const fd = outcome.ok && typeof request === 'object' ? newFd(request, outcome) : undefined;
    if (fd !== undefined) this.#context.own(`fd of raw ${requestName(request)}`, fd);
    return outcome;
  }
}

function prepare(fd: number, request: Ioctl | number, args: unknown): PreparedIoctl<unknown> {
  if (typeof request === 'number') {
    return prepareNumber(fd, request, (args === undefined ? 0 : args) as NumericArg);
  }
  checkDeclaration(request);
  return prepareIoctl(fd, request, (args === undefined ? nothingFor(request) : args) as RawArg<Ioctl>);
}

/** The fd that a success made: its answer, or a field of its struct. */
function newFd({ returns, newFd: field }: Ioctl, { ret, out }: { ret: number; out: unknown }): number | undefined {
  if (returns === 'fd') return ret;
  const inside = (values: unknown, name: string) => (values as Readonly<Record<string, unknown>>)[name];
  return field?.split('.').reduce(inside, out) as number | undefined;
}

const nothingFor = (ioctl: Ioctl) => (ioctl.struct === undefined ? 0 : {});

/** Anything with a request number and a struct of that size will do: a series of one's own declares its ioctls so. */
function checkDeclaration(ioctl: Ioctl): void {
  if (typeof ioctl !== 'object' || ioctl === null || typeof ioctl.request !== 'number') {
    throw wrongType('ioctl', 'a declaration (see guest-memfd/abi) or a request number', ioctl);
  }
  checkInteger('ioctl.request', ioctl.request, 0, U32_MAX);
  if (ioctl.struct !== undefined && !isStruct(ioctl.struct))
    throw wrongType('ioctl.struct', 'a struct()', ioctl.struct);
  if ((ioctl.struct?.size ?? 0) < requestSize(ioctl.request)) {
    throw wrongValue('ioctl', 'a declaration whose struct is as large as its request number says', ioctl);
  }
}

function isStruct(value: unknown): value is Struct {
  if (typeof value !== 'object' || value === null) return false;
  const { size, encode, decode, fields } = value as Partial<Struct>;
  return (
    Number.isSafeInteger(size) && typeof encode === 'function' && typeof decode === 'function' && Array.isArray(fields)
  );
}
