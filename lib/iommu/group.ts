/** An IOMMU group as /dev/vfio/N has it: the devices that cannot be told apart, and so are given away together. */

import { outOfRange, wrongType } from '../abi/invalid.ts';
import type { Ioctl, IoctlOut } from '../abi/ioctl.ts';
import {
  VFIO_GROUP_FLAGS_CONTAINER_SET,
  VFIO_GROUP_FLAGS_VIABLE,
  VFIO_GROUP_GET_DEVICE_FD,
  VFIO_GROUP_GET_STATUS,
  VFIO_GROUP_SET_CONTAINER,
  VFIO_GROUP_UNSET_CONTAINER,
} from '../abi/vfio.ts';
import {
  FdResource,
  type IoctlOutcome,
  issue,
  prepareIoctl,
  type RawArg,
  type Result,
  success,
  unwrap,
} from '../host/index.ts';
import { VfioContainer } from './container.ts';
import { VfioDevice } from './device.ts';
import { devicesInUse } from './in-use.ts';
import { Iommufd } from './iommufd.ts';

export interface GroupStatus {
  /** All its devices are with VFIO, or with no driver. */
  readonly viable: boolean;
  readonly inContainer: boolean;
}

/** Made by `host.vfio.openGroup()`. */
export class VfioGroup extends FdResource {
  /** VFIO_GROUP_GET_STATUS. @throws KernelError */
  async status(): Promise<GroupStatus> {
    return unwrap(await this.tryStatus());
  }

  /** As `status`, with the kernel's refusal as a value. */
  async tryStatus(): Promise<Result<GroupStatus>> {
    const outcome = await this.#ask(VFIO_GROUP_GET_STATUS, {});
    if (!outcome.ok) return outcome;
    const { flags } = outcome.out;
    return success({
      viable: (flags & VFIO_GROUP_FLAGS_VIABLE) !== 0,
      inContainer: (flags & VFIO_GROUP_FLAGS_CONTAINER_SET) !== 0,
    });
  }

  /**
   * Puts it into a container, or on an iommufd in a container's place.
   *
   * | errno  | meaning                                        |
   * |--------|------------------------------------------------|
   * | EINVAL | it is in one already, or is not viable          |
   * | EBADFD | the file is neither                             |
   *
   * @throws KernelError
   */
  async setContainer(container: VfioContainer | Iommufd): Promise<void> {
    unwrap(await this.trySetContainer(container));
  }

  /** As `setContainer`, with the kernel's refusal as a value. */
  async trySetContainer(container: VfioContainer | Iommufd): Promise<Result<void>> {
    if (!(container instanceof VfioContainer) && !(container instanceof Iommufd)) {
      throw wrongType('container', 'a VfioContainer or an Iommufd', container);
    }
    const { fd } = container;
    return done(await this.#with(fd, () => this.#ask(VFIO_GROUP_SET_CONTAINER, { fd })));
  }

  /** Takes it out of its container. @throws KernelError EBUSY while one of its devices is open, EINVAL when it is in none */
  async unsetContainer(): Promise<void> {
    unwrap(await this.tryUnsetContainer());
  }

  /** As `unsetContainer`, with the kernel's refusal as a value. */
  async tryUnsetContainer(): Promise<Result<void>> {
    return done(await this.#ask(VFIO_GROUP_UNSET_CONTAINER, 0));
  }

  /**
   * VFIO_GROUP_GET_DEVICE_FD: opens one of its devices.
   *
   * | errno  | meaning                                                              |
   * |--------|----------------------------------------------------------------------|
   * | EINVAL | the group is in no container, or that has no driver yet               |
   * | ENODEV | no device of this name is in the group, or VFIO does not have it      |
   * | EPERM  | on an iommufd: no interrupt remapping (iommufd.allow_unsafe_interrupts) |
   *
   * @param name A PCI address, as in 0000:00:05.0, or what its driver calls it.
   * @throws KernelError
   */
  async openDevice(name: string): Promise<VfioDevice> {
    return unwrap(await this.tryOpenDevice(name));
  }

  /** As `openDevice`, with the kernel's refusal as a value. */
  async tryOpenDevice(name: string): Promise<Result<VfioDevice>> {
    checkName(name);
    return await this.create(async () => {
      const outcome = await this.#ask(VFIO_GROUP_GET_DEVICE_FD, { name });
      if (!outcome.ok) return outcome;
      const handle = this.context.own(`VfioDevice ${name}`, outcome.ret);
      devicesInUse(this.context).add(name, handle);
      return success(new VfioDevice(this.context, handle, { name, by: 'group' }));
    });
  }

  #with<T>(fd: number, work: () => Promise<T>): Promise<T> {
    const owned = this.context.find(fd);
    return owned ? owned.use(work) : work();
  }

  async #ask<I extends Ioctl>(ioctl: I, args: RawArg<I>): Promise<IoctlOutcome<IoctlOut<I>>> {
    const { syscalls } = this.context;
    const { number } = this.handle;
    return await this.handle.use(async () => issue(syscalls, number, prepareIoctl(number, ioctl, args)));
  }
}

const done = (outcome: IoctlOutcome<unknown>): Result<void> => (outcome.ok ? success(undefined) : outcome);

/** With the NUL that ends it, as long as the kernel's struct has room for. */
const MOST_CHARACTERS = 255;

function checkName(name: unknown): void {
  if (typeof name !== 'string') throw wrongType('name', 'a string', name);
  if (name === '' || name.includes('\0') || Buffer.byteLength(name) > MOST_CHARACTERS) {
    throw outOfRange('name', `1 to ${MOST_CHARACTERS} bytes of text without a NUL`, name);
  }
}
