/** VFIO on a host: which devices there are, and how they are opened. */

import { errno } from '../abi/errno.ts';
import { checkInteger, checkOptions, wrongType } from '../abi/invalid.ts';
import { O_CLOEXEC, O_RDWR } from '../abi/linux.ts';
import { type Context, failure, type Result, success, unwrap } from '../host/index.ts';
import { type BindOptions, checkAddress, checkBindOptions, tryBind, type VfioBinding } from './bind.ts';
import { VfioContainer } from './container.ts';
import { VfioDevice } from './device.ts';
import { VfioGroup } from './group.ts';
import { devicesInUse } from './in-use.ts';
import { type IommuGroup, iommuGroups, PCI_DEVICES, type PciDevice, pciDevice, pciDevices } from './inventory.ts';
import { Iommufd } from './iommufd.ts';

export interface OpenDeviceOptions {
  /** Binds it at once. KVM has to know a device before that (`vm.vfio()`), so leave it out where KVM has a part. */
  readonly iommufd?: Iommufd;
}

const NO_CONTAINER = 'modprobe vfio (CONFIG_VFIO_CONTAINER, or CONFIG_IOMMUFD_VFIO_CONTAINER)';
const NO_GROUP = 'bind a device of the group to vfio-pci first: host.vfio.bind(); CONFIG_VFIO_GROUP';
const NO_CDEV = 'bind it to vfio-pci first: host.vfio.bind(); and the kernel must have CONFIG_VFIO_DEVICE_CDEV';

export class Vfio {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  /** All PCI devices, with their drivers and IOMMU groups, in order of address. */
  async devices(): Promise<PciDevice[]> {
    return await this.#context.handle.use(() => pciDevices(this.#context.syscalls));
  }

  /** One PCI device; undefined where there is none of this address. */
  async device(address: string): Promise<PciDevice | undefined> {
    checkAddress(address);
    return await this.#context.handle.use(() => pciDevice(this.#context.syscalls, address));
  }

  /** All IOMMU groups, in order of number; none where there is no IOMMU. */
  async groups(): Promise<IommuGroup[]> {
    return await this.#context.handle.use(() => iommuGroups(this.#context.syscalls));
  }

  /**
   * Lends a PCI device to vfio-pci. It goes back to its driver, or to none, when what is answered is closed, and also
   * when this process ends, be it by Ctrl-C, a crash or SIGKILL.
   *
   * ```ts
   * await using lent = await host.vfio.bind('0000:00:05.0');
   * await using device = await host.vfio.openDevice(lent.address, { iommufd });
   * ```
   *
   * @throws DeviceInUseError when a driver has the device, or another of its IOMMU group; it names them
   * @throws UnsupportedError when there is no such device, no IOMMU for it, or no vfio-pci
   * @throws KernelError when sysfs refuses; the device is as it was
   */
  async bind(address: string, options: BindOptions = {}): Promise<VfioBinding> {
    return unwrap(await this.tryBind(address, options));
  }

  /** As `bind`, with the kernel's refusal as a value. */
  async tryBind(address: string, options: BindOptions = {}): Promise<Result<VfioBinding>> {
    checkAddress(address);
    return await tryBind(this.#context, address, checkBindOptions(options));
  }

  /**
   * Opens a device's own file, /dev/vfio/devices/vfioN, to be bound to an iommufd.
   *
   * | errno  | meaning                                                                  |
   * |--------|--------------------------------------------------------------------------|
   * | ENOENT | vfio-pci does not have it, or the kernel has no cdevs                     |
   * | EBUSY  | with `iommufd`: it is in use through its group                            |
   * | EPERM  | with `iommufd`: no interrupt remapping (iommufd.allow_unsafe_interrupts)  |
   *
   * @throws KernelError
   */
  async openDevice(address: string, options: OpenDeviceOptions = {}): Promise<VfioDevice> {
    return unwrap(await this.tryOpenDevice(address, options));
  }

  /** As `openDevice`, with the kernel's refusal as a value. */
  async tryOpenDevice(address: string, options: OpenDeviceOptions = {}): Promise<Result<VfioDevice>> {
    checkAddress(address);
    const { iommufd } = checkOptions<OpenDeviceOptions>('options', options, ['iommufd']);
    if (iommufd !== undefined && !(iommufd instanceof Iommufd))
      throw wrongType('options.iommufd', 'an Iommufd', iommufd);
    return await this.#context.handle.use(async () => {
      const found = await pciDevice(this.#context.syscalls, address);
      const path = found?.cdev ? `/dev/vfio/devices/${found.cdev}` : `${PCI_DEVICES}/${address}/vfio-dev`;
      const fd = found?.cdev ? await this.#open(path) : -errno.ENOENT;
      if (fd < 0) return failure({ syscall: 'open', args: { path }, hint: NO_CDEV }, fd);
      const handle = this.#context.own(`VfioDevice ${address}`, fd);
      devicesInUse(this.#context).add(address, handle);
      const device = new VfioDevice(this.#context, handle, { name: address, by: 'cdev' });
      if (!iommufd) return success(device);
      const bound = await device.tryBind(iommufd);
      if (bound.ok) return success(device);
      await device.close();
      return bound;
    });
  }

  /**
   * Opens /dev/vfio/N.
   *
   * @throws KernelError ENOENT when no device of the group is with VFIO, EBUSY when somebody has it open
   */
  async openGroup(number: number): Promise<VfioGroup> {
    return unwrap(await this.tryOpenGroup(number));
  }

  /** As `openGroup`, with the kernel's refusal as a value. */
  async tryOpenGroup(number: number): Promise<Result<VfioGroup>> {
    checkInteger('number', number, 0, 0x7fff_ffff);
    const opened = await this.#openFile(`/dev/vfio/${number}`, NO_GROUP);
    return opened.ok
      ? success(new VfioGroup(this.#context, this.#context.own(`VfioGroup ${number}`, opened.value)))
      : opened;
  }

  /** Opens /dev/vfio/vfio. @throws KernelError ENOENT when the kernel has no containers */
  async openContainer(): Promise<VfioContainer> {
    return unwrap(await this.tryOpenContainer());
  }

  /** As `openContainer`, with the kernel's refusal as a value. */
  async tryOpenContainer(): Promise<Result<VfioContainer>> {
    const opened = await this.#openFile('/dev/vfio/vfio', NO_CONTAINER);
    return opened.ok
      ? success(new VfioContainer(this.#context, this.#context.own('VfioContainer', opened.value)))
      : opened;
  }

  #open(path: string): Promise<number> {
    return this.#context.syscalls.open(path, O_RDWR | O_CLOEXEC);
  }

  async #openFile(path: string, hint: string): Promise<Result<number>> {
    return await this.#context.handle.use(async () => {
      const fd = await this.#open(path);
      if (fd >= 0) return success(fd);
      return failure({ syscall: 'open', args: { path }, ...(fd === -errno.ENOENT && { hint }) }, fd);
    });
  }
}
