/**
 * From a VFIO request to its handler. Its structs tell their size in `argsz`; the kernel copies what every version of
 * the struct had, refuses a smaller `argsz`, and looks at what lies behind only where a request says so.
 */

import { errno } from '../../../abi/errno.ts';
import type { Ioctl, IoctlOut, StructIoctl, ValueIoctl } from '../../../abi/ioctl.ts';
import type { SizedStruct } from '../../../abi/sized.ts';
import type { UserMemory } from '../../process/index.ts';

export interface Call<I extends Ioctl> {
  readonly args: IoctlOut<I>;
  /** Copies the first `length` bytes of the struct back (its smallest version, when left out): 0, or -EFAULT. */
  writeBack(values: IoctlOut<I>, length?: number): number;
  /** Bytes behind the struct; undefined for EFAULT. */
  readAt(offset: number, length: number): Uint8Array | undefined;
  /** False for EFAULT. */
  writeAt(offset: number, bytes: Uint8Array): boolean;
}

// biome-ignore lint/suspicious/noExplicitAny: the fields are known where a handler is registered.
type SizedIoctl = StructIoctl<any> & { readonly struct: SizedStruct<any> };
type AnyIoctl = SizedIoctl | ValueIoctl;
type Argument<I extends AnyIoctl> = I extends SizedIoctl ? Call<I> : bigint;

type Handler<File> = (file: File, user: UserMemory) => number;

export class ArgsizedDispatcher<File> {
  readonly #handlers = new Map<number, Handler<File>>();

  /** `strict`: what lies behind the struct must be zero, as copy_struct_from_user() demands. */
  on<I extends AnyIoctl>(
    ioctl: I,
    handle: (file: File, argument: Argument<I>) => number,
    { strict = false }: { readonly strict?: boolean } = {},
  ): this {
    this.#handlers.set(ioctl.request, (file, user) => {
      if (!ioctl.struct) return handle(file, user.value as Argument<I>);
      const call = readCall(ioctl.struct, user, strict);
      return typeof call === 'number' ? call : handle(file, call as Argument<I>);
    });
    return this;
  }

  /** A request whose argument has a form of its own. */
  onRaw(ioctl: Ioctl, handle: Handler<File>): this {
    this.#handlers.set(ioctl.request, handle);
    return this;
  }

  has(request: number): boolean {
    return this.#handlers.has(request);
  }

  run(file: File, request: number, user: UserMemory, otherwise: number): number {
    return this.#handlers.get(request)?.(file, user) ?? otherwise;
  }
}

// biome-ignore lint/suspicious/noExplicitAny: as above.
function readCall(struct: SizedStruct<any>, user: UserMemory, strict: boolean): Call<any> | number {
  const head = user.read(4);
  if (!head) return -errno.EFAULT;
  const argsz = new DataView(head.buffer, head.byteOffset, 4).getUint32(0, true);
  if (argsz < struct.minimum) return -errno.EINVAL;
  const given = user.read(strict ? argsz : Math.min(argsz, struct.size));
  if (!given) return -errno.EFAULT;
  if (strict && given.subarray(struct.size).some((byte) => byte !== 0)) return -errno.E2BIG;
  const bytes = new Uint8Array(struct.size);
  bytes.set(given.subarray(0, struct.size));
  return {
    args: struct.decode(bytes),
    writeBack: (values, length = struct.minimum) => {
      const answer = bytes.slice();
      struct.write(new DataView(answer.buffer), 0, values as object, struct.name);
      return user.write(answer.subarray(0, length)) ? 0 : -errno.EFAULT;
    },
    readAt: (offset, length) => user.read(offset + length)?.slice(offset),
    writeAt: (offset, added) => {
      const whole = user.read(offset + added.length)?.slice();
      whole?.set(added, offset);
      return whole !== undefined && user.write(whole);
    },
  };
}
