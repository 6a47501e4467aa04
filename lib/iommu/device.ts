/** A device that VFIO hands to userspace: through its group, or as a cdev that is bound to an iommufd. */

import { checkBytes, checkInteger, checkOneOf, wrongType } from '../abi/invalid.ts';
import type { Ioctl, IoctlOut } from '../abi/ioctl.ts';
import {
  VFIO_DEVICE_ATTACH_IOMMUFD_PT,
  VFIO_DEVICE_BIND_IOMMUFD,
  VFIO_DEVICE_DETACH_IOMMUFD_PT,
  VFIO_DEVICE_FEATURE,
  VFIO_DEVICE_FEATURE_GET,
  VFIO_DEVICE_FEATURE_PROBE,
  VFIO_DEVICE_FEATURE_SET,
  VFIO_DEVICE_FLAGS_PCI,
  VFIO_DEVICE_FLAGS_RESET,
  VFIO_DEVICE_GET_INFO,
  VFIO_DEVICE_RESET,
  type VfioFeature,
  vfioFeatures,
} from '../abi/vfio-device.ts';
import {
  type Context,
  FdResource,
  type IoctlOutcome,
  issue,
  type OwnedFd,
  prepareIoctl,
  type RawArg,
  type Result,
  success,
  unwrap,
} from '../host/index.ts';
import { Hwpt } from './hwpt.ts';
import { Ioas } from './ioas.ts';
import { Iommufd } from './iommufd.ts';
import { type IrqName, type IrqOptions, openIrq, tryIrqInfo, type VfioIrq, type VfioIrqInfo } from './irq.ts';
import { handleOf } from './object.ts';
import { type RegionName, regionIndex, tryRegion, type VfioRegion } from './region.ts';

export interface VfioDeviceInfo {
  /** VFIO_DEVICE_FLAGS_*. */
  readonly flags: number;
  readonly isPci: boolean;
  readonly canReset: boolean;
  /** One more than the largest index; not every index below is there. */
  readonly regions: number;
  readonly irqs: number;
}

/** How it was opened. */
export interface OpenedDevice {
  readonly name: string;
  readonly by: 'group' | 'cdev';
}

/** Bit 2 of PCI's command register: the device may start transfers. */
const COMMAND = 4;
const BUS_MASTER = 1 << 2;
const U32_MAX = 0xffff_ffff;

/** Made by `host.vfio.openDevice()` and `group.openDevice()`. */
export class VfioDevice extends FdResource {
  /** A PCI address, or what its driver calls it. */
  readonly name: string;
  /** A cdev answers nothing until it is bound. */
  readonly by: 'group' | 'cdev';
  #deviceId: number | undefined;

  constructor(context: Context, handle: OwnedFd, { name, by }: OpenedDevice) {
    super(context, handle);
    this.name = name;
    this.by = by;
  }

  /** Its number on the iommufd that it is bound to; undefined when it is bound to none. @throws ClosedError */
  get deviceId(): number | undefined {
    this.handle.checkOpen();
    return this.#deviceId;
  }

  /**
   * Binds a cdev to an iommufd: the device's owner from now on, until it is closed.
   *
   * | errno  | meaning                                                                                |
   * |--------|----------------------------------------------------------------------------------------|
   * | EBUSY  | it is in use, through its group                                                        |
   * | EINVAL | it is bound already, by this file or another, or was opened through its group          |
   * | EPERM  | no interrupt remapping (iommufd.allow_unsafe_interrupts)                               |
   *
   * Source: vfio_df_ioctl_bind_iommufd(), drivers/vfio/device_cdev.c.
   *
   * @throws KernelError
   */
  async bind(iommufd: Iommufd): Promise<void> {
    unwrap(await this.tryBind(iommufd));
  }

  /** As `bind`, with the kernel's refusal as a value. */
  async tryBind(iommufd: Iommufd): Promise<Result<void>> {
    if (!(iommufd instanceof Iommufd)) throw wrongType('iommufd', 'an Iommufd', iommufd);
    const { fd } = iommufd;
    const owned = this.context.find(fd);
    if (!owned) throw wrongType('iommufd', 'made on the same host', iommufd);
    const outcome = await owned.use(() => this.#ask(VFIO_DEVICE_BIND_IOMMUFD, { iommufd: fd }));
    if (!outcome.ok) return outcome;
    this.#deviceId = outcome.out.out_devid;
    return success(undefined);
  }

  /**
   * Attaches it to an address space or page table; attached to another, it changes over in one step.
   *
   * | errno      | meaning                                                                                     |
   * |------------|---------------------------------------------------------------------------------------------|
   * | EADDRINUSE | something is mapped there that the device cannot reach, or that is not aligned for its IOMMU |
   * | EINVAL     | what is mapped there cannot be pinned; or the id is of another kind                          |
   * | EFAULT     | likewise: memory that is not there                                                          |
   * | ENOMEM     | likewise: more than may be locked                                                           |
   *
   * Source: vfio_df_ioctl_attach_pt(), drivers/vfio/device_cdev.c.
   *
   * @returns the id of the page table
   * @throws KernelError
   */
  async attach(target: Ioas | Hwpt): Promise<number> {
    return unwrap(await this.tryAttach(target));
  }

  /** As `attach`, with the kernel's refusal as a value. */
  async tryAttach(target: Ioas | Hwpt): Promise<Result<number>> {
    if (!(target instanceof Ioas) && !(target instanceof Hwpt)) throw wrongType('target', 'an Ioas or a Hwpt', target);
    const handle = handleOf(target);
    const outcome = await handle.use(() => this.#ask(VFIO_DEVICE_ATTACH_IOMMUFD_PT, { pt_id: handle.id }));
    return outcome.ok ? success(outcome.out.pt_id) : outcome;
  }

  /** Detaches it: every transfer is a fault from now on. Detaching twice is fine. @throws KernelError */
  async detach(): Promise<void> {
    unwrap(await this.tryDetach());
  }

  /** As `detach`, with the kernel's refusal as a value. */
  async tryDetach(): Promise<Result<void>> {
    return done(await this.#ask(VFIO_DEVICE_DETACH_IOMMUFD_PT, {}));
  }

  /** VFIO_DEVICE_GET_INFO. @throws KernelError EINVAL from a cdev that is not bound */
  async info(): Promise<VfioDeviceInfo> {
    return unwrap(await this.tryInfo());
  }

  /** As `info`, with the kernel's refusal as a value. */
  async tryInfo(): Promise<Result<VfioDeviceInfo>> {
    const outcome = await this.#ask(VFIO_DEVICE_GET_INFO, {});
    if (!outcome.ok) return outcome;
    const { flags, num_regions, num_irqs } = outcome.out;
    return success({
      flags,
      isPci: (flags & VFIO_DEVICE_FLAGS_PCI) !== 0,
      canReset: (flags & VFIO_DEVICE_FLAGS_RESET) !== 0,
      regions: num_regions,
      irqs: num_irqs,
    });
  }

  /** One of its regions: by PCI's names, or by index. @throws KernelError EINVAL when there is no such region */
  async region(region: RegionName | number): Promise<VfioRegion> {
    return unwrap(await this.tryRegion(region));
  }

  /** As `region`, with the kernel's refusal as a value. */
  async tryRegion(region: RegionName | number): Promise<Result<VfioRegion>> {
    return await tryRegion(this.context, this.handle, regionIndex(region));
  }

  /** What an interrupt of it is: by PCI's names, or by index. @throws KernelError EINVAL when there is none */
  async irqInfo(irq: IrqName | number): Promise<VfioIrqInfo> {
    return unwrap(await this.tryIrqInfo(irq));
  }

  /** As `irqInfo`, with the kernel's refusal as a value. */
  async tryIrqInfo(irq: IrqName | number): Promise<Result<VfioIrqInfo>> {
    return await tryIrqInfo(this.context, this.handle, irq);
  }

  /**
   * Has an interrupt counted, by an eventfd, until what is answered is closed.
   *
   * | errno  | meaning                                            |
   * |--------|----------------------------------------------------|
   * | EINVAL | there is no such interrupt, or another kind is on   |
   *
   * @throws KernelError
   */
  async irq(irq: IrqName | number, options: IrqOptions = {}): Promise<VfioIrq> {
    return unwrap(await this.tryIrq(irq, options));
  }

  /** As `irq`, with the kernel's refusal as a value. */
  async tryIrq(irq: IrqName | number, options: IrqOptions = {}): Promise<Result<VfioIrq>> {
    return await openIrq(this.context, this.handle, irq, options);
  }

  /** VFIO_DEVICE_RESET. @throws KernelError EINVAL when it cannot be reset (`info().canReset`) */
  async reset(): Promise<void> {
    unwrap(await this.tryReset());
  }

  /** As `reset`, with the kernel's refusal as a value. */
  async tryReset(): Promise<Result<void>> {
    return done(await this.#ask(VFIO_DEVICE_RESET, 0));
  }

  /** Whether it has a feature, to get or to set. */
  async hasFeature(feature: VfioFeature | number, direction: 'get' | 'set'): Promise<boolean> {
    const flag = checkDirection(direction) | VFIO_DEVICE_FEATURE_PROBE;
    const outcome = await this.#feature(feature, flag, new Uint8Array(0));
    return outcome.ok;
  }

  /**
   * Gets or sets a feature; `data` is the feature's struct (`guest-memfd/abi`), and what is got stands in it.
   *
   * @returns what the ioctl answers: 0, or the fd that the feature is about, which the caller now owns
   * @throws KernelError ENOTTY when the device does not have it
   */
  async feature(feature: VfioFeature | number, direction: 'get' | 'set', data: Uint8Array): Promise<number> {
    return unwrap(await this.tryFeature(feature, direction, data));
  }

  /** As `feature`, with the kernel's refusal as a value. */
  async tryFeature(feature: VfioFeature | number, direction: 'get' | 'set', data: Uint8Array): Promise<Result<number>> {
    const outcome = await this.#feature(feature, checkDirection(direction), checkBytes('data', data));
    return outcome.ok ? success(outcome.ret) : outcome;
  }

  /** Whether it may start transfers: PCI's bus master bit, which VFIO leaves off. @throws KernelError */
  async setBusMaster(on: boolean): Promise<void> {
    unwrap(await this.trySetBusMaster(on));
  }

  /** As `setBusMaster`, with the kernel's refusal as a value. */
  async trySetBusMaster(on: boolean): Promise<Result<void>> {
    if (typeof on !== 'boolean') throw wrongType('on', 'a boolean', on);
    const config = await this.tryRegion('config');
    if (!config.ok) return config;
    const command = await config.value.tryRead(COMMAND, 2);
    if (!command.ok) return command;
    const bits = Number(command.value);
    return await config.value.tryWrite(COMMAND, 2, on ? bits | BUS_MASTER : bits & ~BUS_MASTER);
  }

  async #feature(feature: VfioFeature | number, flag: number, data: Uint8Array) {
    const flags = featureNumber(feature) | flag;
    const { struct } = VFIO_DEVICE_FEATURE;
    const bytes = struct.encodeWith({ flags }, data);
    const outcome = await this.#ask(VFIO_DEVICE_FEATURE, bytes);
    if (outcome.ok && data.byteLength > 0) data.set(bytes.subarray(struct.size));
    return outcome;
  }

  async #ask<I extends Ioctl>(ioctl: I, args: RawArg<I>): Promise<IoctlOutcome<IoctlOut<I>>> {
    const { syscalls } = this.context;
    const { number } = this.handle;
    return await this.handle.use(() => issue(syscalls, number, prepareIoctl(number, ioctl, args)));
  }
}

const done = (outcome: IoctlOutcome<unknown>): Result<void> => (outcome.ok ? success(undefined) : outcome);

function checkDirection(direction: 'get' | 'set'): number {
  checkOneOf('direction', direction, ['get', 'set']);
  return direction === 'get' ? VFIO_DEVICE_FEATURE_GET : VFIO_DEVICE_FEATURE_SET;
}

function featureNumber(feature: VfioFeature | number): number {
  if (typeof feature === 'number') return checkInteger('feature', feature, 0, U32_MAX >>> 16);
  return vfioFeatures[checkOneOf('feature', feature, Object.keys(vfioFeatures) as VfioFeature[])];
}
