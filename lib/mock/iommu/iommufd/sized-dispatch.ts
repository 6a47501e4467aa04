/**
 * From an iommufd request to its handler: iommufd_fops_ioctl() and copy_struct_from_user(), check by check. A struct
 * may be shorter than the kernel's, whose other fields are then zero, or longer, if the rest is zero.
 */

import { errno } from '../../../abi/errno.ts';
import type { Ioctl, IoctlOut, StructIoctl } from '../../../abi/ioctl.ts';
import type { SizedStruct } from '../../../abi/sized.ts';
import type { Struct } from '../../../abi/struct.ts';
import type { UserMemory } from '../../process/index.ts';

/** Copies the struct back, as much of it as its owner has: 0, or -EFAULT. */
export type Reply<I extends Ioctl> = (values: IoctlOut<I>) => number;

// biome-ignore lint/suspicious/noExplicitAny: the fields are known where a handler is registered.
type SizedIoctl = StructIoctl<any> & { readonly struct: SizedStruct<any> };

type Handler<File> = (file: File, user: UserMemory, size: number) => number;

export class SizedDispatcher<File> {
  readonly #handlers = new Map<number, Handler<File>>();

  on<I extends SizedIoctl>(ioctl: I, handle: (file: File, args: IoctlOut<I>, reply: Reply<I>) => number): this {
    const { struct } = ioctl;
    return this.onBytes(ioctl, (file, bytes, reply) =>
      handle(file, struct.decode(bytes) as IoctlOut<I>, (values) => reply(overwrite(bytes, struct, values))),
    );
  }

  /** For a request whose struct means different things: its handler decodes it. */
  onBytes(
    { request, struct }: SizedIoctl,
    handle: (file: File, bytes: Uint8Array, reply: (bytes: Uint8Array) => number) => number,
  ): this {
    this.#handlers.set(request, (file, user, size) => {
      const bytes = readSized(user, size, struct);
      if (typeof bytes === 'number') return bytes;
      return handle(file, bytes, (answer) => (user.write(answer.subarray(0, size)) ? 0 : -errno.EFAULT));
    });
    return this;
  }

  /** The handler's answer; ENOTTY for a request that nobody has, once its size could be read. */
  run(file: File, request: number, user: UserMemory): number {
    const head = user.read(4);
    if (!head) return -errno.EFAULT;
    const size = new DataView(head.buffer, head.byteOffset, 4).getUint32(0, true);
    return this.#handlers.get(request)?.(file, user, size) ?? -errno.ENOTTY;
  }
}

// biome-ignore lint/suspicious/noExplicitAny: as above.
function readSized(user: UserMemory, size: number, struct: SizedStruct<any>): Uint8Array | number {
  if (size < struct.minimum) return -errno.EINVAL;
  const given = user.read(size);
  if (!given) return -errno.EFAULT;
  if (given.subarray(struct.size).some((byte) => byte !== 0)) return -errno.E2BIG;
  const bytes = new Uint8Array(struct.size);
  bytes.set(given.subarray(0, struct.size));
  return bytes;
}

/** The struct with other values. What lies between its fields stays as it was. */
export function overwrite(bytes: Uint8Array, struct: Struct, values: object): Uint8Array {
  const answer = bytes.slice();
  struct.write(new DataView(answer.buffer), 0, values, struct.name);
  return answer;
}
