/**
 * From a request number to its handler, by the ioctl table: a handler is registered under the ioctl's declaration and
 * gets its struct decoded.
 */

import { errno } from '../../abi/errno.ts';
import type { Ioctl, IoctlOut, ValueIoctl } from '../../abi/ioctl.ts';
import type { UserMemory } from '../process/index.ts';

/** What a handler is given: the decoded struct, or the plain number. */
export type Argument<I extends Ioctl> = I extends ValueIoctl ? bigint : IoctlOut<I>;

/** Copies a struct back to its owner: 0, or -EFAULT. */
export type WriteBack<I extends Ioctl> = (values: IoctlOut<I>) => number;

type Handler<File> = (file: File, user: UserMemory) => number;

export class Dispatcher<File> {
  readonly #handlers = new Map<number, Handler<File>>();

  /** Registers what an ioctl does. A struct that cannot be read is EFAULT before the handler is asked. */
  on<I extends Ioctl>(ioctl: I, handle: (file: File, argument: Argument<I>, writeBack: WriteBack<I>) => number): this {
    const struct = ioctl.struct;
    this.#handlers.set(ioctl.request, (file, user) => {
      if (!struct) return handle(file, user.value as Argument<I>, () => 0);
      const bytes = user.read(struct.size);
      if (!bytes) return -errno.EFAULT;
      const writeBack = (values: object): number => (user.write(struct.encode(values)) ? 0 : -errno.EFAULT);
      return handle(file, struct.decode(bytes) as Argument<I>, writeBack as WriteBack<I>);
    });
    return this;
  }

  /** The handler's answer; `otherwise` for a request this kind of fd does not have. */
  run(file: File, request: number, user: UserMemory, otherwise: number): number {
    return this.#handlers.get(request)?.(file, user) ?? otherwise;
  }
}
