/** The devices that vfio-pci has, and what of /dev and /sys there is for them. */

import { errno } from '../../../abi/errno.ts';
import { type FileOpener, type PathSource, textFile } from '../../process/index.ts';
import type { IommuHost } from '../host.ts';
import type { VfioUsers } from '../pci/bus.ts';
import type { PciDevice } from '../pci/pci-device.ts';
import { ContainerFile } from './container-file.ts';
import { VfioDeviceFile } from './device-file.ts';
import { VfioGroup } from './group.ts';
import { VfioGroupFile } from './group-file.ts';
import { VfioDevice } from './vfio-device.ts';

/** The device nodes' major number, as the lab's kernel gives it. */
const MAJOR = 245;

export class VfioNodes implements PathSource, VfioUsers {
  readonly #host: IommuHost;
  readonly #devices = new Map<number, VfioDevice>();
  readonly #groups = new Map<number, VfioGroup>();

  constructor(host: IommuHost) {
    this.#host = host;
  }

  add(pci: PciDevice): void {
    let number = 0;
    while (this.#devices.has(number)) number++;
    const { group } = pci.hardware;
    const vfioGroup = this.#groups.get(group.id) ?? new VfioGroup(group);
    const device = new VfioDevice(number, pci, vfioGroup);
    this.#groups.set(group.id, vfioGroup);
    this.#devices.set(number, device);
    vfioGroup.devices.add(device);
  }

  /** The kernel asks the user for the device, and waits until it is given back. */
  remove(pci: PciDevice): number {
    const device = [...this.#devices.values()].find((candidate) => candidate.pci === pci);
    if (!device) return 0;
    if (device.opens > 0) {
      device.interrupts.requestDevice();
      return -errno.EAGAIN;
    }
    const { group } = device;
    group.devices.delete(device);
    this.#devices.delete(device.number);
    if (group.devices.size === 0) this.#groups.delete(group.id);
    return 0;
  }

  files(): [string, FileOpener][] {
    const host = this.#host;
    const files: [string, FileOpener][] = [['/dev/vfio/vfio', () => new ContainerFile(host)]];
    for (const group of this.#groups.values()) files.push([`/dev/vfio/${group.id}`, () => openGroup(host, group)]);
    for (const device of this.#devices.values()) {
      const name = `vfio${device.number}`;
      const dev = { read: () => `${MAJOR}:${device.number}\n` };
      files.push([`/dev/vfio/devices/${name}`, () => new VfioDeviceFile(host, device, { throughGroup: false })]);
      files.push([`/sys/devices/pci0000:00/${device.pci.address}/vfio-dev/${name}/dev`, textFile(dev)]);
    }
    return files;
  }

  links(): [string, string][] {
    return [];
  }
}

/** vfio_group_fops_open(): it has one file, and none while a device of it is in use through its own node. */
const openGroup = (host: IommuHost, group: VfioGroup): VfioGroupFile | number =>
  group.opened || group.cdevOpens > 0 ? -errno.EBUSY : new VfioGroupFile(host, group);
