/** The PCI bus: which devices there are, and which driver has each. Sources: drivers/base/bus.c, drivers/pci/pci-driver.c. */

import { errno } from '../../../abi/errno.ts';
import { Group } from '../hardware/driver.ts';
import type { IommuHost } from '../host.ts';
import type { DeviceOption } from './device-options.ts';
import { EDU_BAR_BYTES } from './edu.ts';
import { EDU_ID, PciDevice } from './pci-device.ts';

export const VFIO_PCI = 'vfio-pci';

/** Who hears of a device that vfio-pci takes or gives away. */
export interface VfioUsers {
  add(device: PciDevice): void;
  /** 0, or -errno while the device is in use. */
  remove(device: PciDevice): number;
}

/** Owner of a group's DMA on behalf of the kernel, for devices that a driver of the kernel has. */
const KERNEL = {};
/** Where the region of the first device lies. */
const FIRST_REGION = 0xfea0_0000;

export class PciBus {
  readonly devices: readonly PciDevice[];
  readonly groups: readonly Group[];
  readonly drivers: ReadonlySet<string>;
  readonly #vfio: VfioUsers;
  /** Whether vfio-pci was told of this kind of device. */
  #hasNewId = false;

  constructor(host: IommuHost, options: readonly DeviceOption[], vfio: VfioUsers) {
    this.#vfio = vfio;
    const groups = new Map<number, Group>();
    const groupOf = (id: number): Group => groups.get(id) ?? groups.set(id, new Group(id)).get(id)!;
    this.devices = options.map(({ address, driver, group }, i) => {
      const region = FIRST_REGION + i * EDU_BAR_BYTES;
      return new PciDevice(host, { address, driver, region, group: groupOf(group ?? freeNumber(options, i)) });
    });
    this.groups = [...groups.values()].sort((a, b) => a.id - b.id);
    this.drivers = new Set([VFIO_PCI, ...options.flatMap(({ driver = VFIO_PCI }) => driver)]);
    for (const [i, { driver }] of options.entries()) if (driver) this.#attach(this.devices[i]!, driver);
  }

  device(address: string): PciDevice | undefined {
    return this.devices.find((device) => device.address === address);
  }

  /** bind_store() */
  bind(driver: string, address: string): number {
    const device = this.device(address);
    if (!device || !this.#matches(device, driver)) return -errno.ENODEV;
    return device.driver === undefined ? this.#attach(device, driver) : -errno.EBUSY;
  }

  /** unbind_store() */
  unbind(driver: string, address: string): number {
    const device = this.device(address);
    if (device?.driver !== driver) return -errno.ENODEV;
    if (driver !== VFIO_PCI) device.hardware.group.release();
    else {
      const refusal = this.#vfio.remove(device);
      if (refusal !== 0) return refusal;
    }
    device.driver = undefined;
    return 0;
  }

  /** drivers_probe: whichever driver matches gets it. */
  probe(address: string): number {
    const device = this.device(address);
    if (!device) return -errno.ENODEV;
    this.#probe(device);
    return 0;
  }

  #probe(device: PciDevice): void {
    if (device.driver !== undefined) return;
    const driver = [...this.drivers].find((name) => this.#matches(device, name));
    if (driver !== undefined) this.#attach(device, driver);
  }

  /** new_id of vfio-pci: vendor and device, in hexadecimal. */
  addId(text: string): number {
    const ids = parseIds(text);
    if (!ids) return -errno.EINVAL;
    if (!isEdu(ids)) return 0;
    if (this.#hasNewId) return -errno.EEXIST;
    this.#hasNewId = true;
    for (const device of this.devices) this.#probe(device);
    return 0;
  }

  removeId(text: string): number {
    const ids = parseIds(text);
    if (!ids) return -errno.EINVAL;
    if (!isEdu(ids) || !this.#hasNewId) return -errno.ENODEV;
    this.#hasNewId = false;
    return 0;
  }

  /** pci_match_device() */
  #matches(device: PciDevice, driver: string): boolean {
    if (device.driverOverride !== undefined) return device.driverOverride === driver;
    return driver === VFIO_PCI ? this.#hasNewId : device.ownDriver === driver;
  }

  #attach(device: PciDevice, driver: string): number {
    if (driver === VFIO_PCI) this.#vfio.add(device);
    else if (!device.hardware.group.claim(KERNEL)) return -errno.EBUSY;
    device.driver = driver;
    return 0;
  }
}

/** Group 0 is the host bridge's. */
function freeNumber(options: readonly DeviceOption[], index: number): number {
  const taken = new Set(options.map(({ group }) => group));
  let number = 0;
  for (let i = 0; i <= index; i++) {
    if (options[i]!.group !== undefined) continue;
    do number++;
    while (taken.has(number));
  }
  return number;
}

function parseIds(text: string): readonly number[] | undefined {
  const words = text.trim().split(/\s+/);
  const numbers = words.map((word) => Number.parseInt(word, 16));
  return numbers.length < 2 || numbers.some(Number.isNaN) ? undefined : numbers;
}

const isEdu = ([vendor, device]: readonly number[]): boolean => vendor === EDU_ID.vendor && device === EDU_ID.device;
