/** The base of what has an id on an iommufd. */

import type { Ioctl, IoctlOut } from '../abi/ioctl.ts';
import { type IoctlOutcome, issue, prepareIoctl, type RawArg, Resource, type Result } from '../host/index.ts';
import type { ObjectHandle } from './state.ts';
import { tryClose } from './try-close.ts';

export abstract class IommufdObject extends Resource<ObjectHandle> {
  /** @internal */
  static handleOf(object: IommufdObject): ObjectHandle {
    return object.handle;
  }

  /** Its number on the iommufd. @throws ClosedError */
  get id(): number {
    this.handle.checkOpen();
    this.handle.state.file.checkOpen();
    return this.handle.id;
  }

  /**
   * IOMMU_DESTROY. Closing the iommufd destroys all its objects, after which this does nothing.
   *
   * | errno | meaning                                                              |
   * |-------|----------------------------------------------------------------------|
   * | EBUSY | it is in use (attached, or the parent of another); it stays as it was |
   *
   * Source: iommufd_destroy(), drivers/iommu/iommufd/main.c.
   *
   * @throws KernelError
   */
  override close(): Promise<void> {
    return super.close();
  }

  /** As `close`, with the kernel's refusal as a value. */
  async tryClose(): Promise<Result<void>> {
    return await tryClose(this.context, this.handle);
  }

  /** @internal */
  protected async ask<I extends Ioctl>(ioctl: I, args: RawArg<I>): Promise<IoctlOutcome<IoctlOut<I>>> {
    const { syscalls } = this.context;
    const { number } = this.handle.state.file;
    return await this.handle.use(() => issue(syscalls, number, prepareIoctl(number, ioctl, args)));
  }
}

export const handleOf = (object: IommufdObject): ObjectHandle => IommufdObject.handleOf(object);
