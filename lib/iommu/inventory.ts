/** Which PCI devices and IOMMU groups there are, and who has them. */

import type { Syscalls } from '../syscalls/seam.ts';
import { linkedName, namesIn, readAttribute } from './sysfs.ts';

export const PCI_DEVICES = '/sys/bus/pci/devices';
const GROUPS = '/sys/kernel/iommu_groups';

export interface PciDevice {
  /** Domain, bus, device and function, as in 0000:00:05.0. */
  readonly address: string;
  readonly vendor: number;
  readonly device: number;
  /** Class, subclass and interface. */
  readonly class: number;
  /** The driver that has it; undefined when none has. */
  readonly driver: string | undefined;
  /** Its IOMMU group; undefined without an IOMMU, which VFIO needs. */
  readonly group: number | undefined;
  /** Its name in /dev/vfio/devices, once a VFIO driver has it on a kernel with cdevs. */
  readonly cdev: string | undefined;
}

export interface IommuGroup {
  readonly number: number;
  readonly devices: readonly PciDevice[];
}

const hexadecimal = (text: string | undefined): number => (text === undefined ? 0 : Number.parseInt(text, 16));

/** One device; undefined where there is none of this address. */
export async function pciDevice(syscalls: Syscalls, address: string): Promise<PciDevice | undefined> {
  const folder = `${PCI_DEVICES}/${address}`;
  const vendor = await readAttribute(syscalls, `${folder}/vendor`);
  if (vendor === undefined) return undefined;
  const group = await linkedName(syscalls, `${folder}/iommu_group`);
  return {
    address,
    vendor: hexadecimal(vendor),
    device: hexadecimal(await readAttribute(syscalls, `${folder}/device`)),
    class: hexadecimal(await readAttribute(syscalls, `${folder}/class`)),
    driver: await linkedName(syscalls, `${folder}/driver`),
    group: group === undefined ? undefined : Number(group),
    cdev: await cdevName(syscalls, folder),
  };
}

/** The class has an entry for every device of a VFIO driver; only where the kernel has cdevs has it a number. */
async function cdevName(syscalls: Syscalls, folder: string): Promise<string | undefined> {
  for (const name of await namesIn(syscalls, `${folder}/vfio-dev`)) {
    if ((await readAttribute(syscalls, `${folder}/vfio-dev/${name}/dev`)) !== undefined) return name;
  }
  return undefined;
}

/** All PCI devices, in order of address. */
export async function pciDevices(syscalls: Syscalls): Promise<PciDevice[]> {
  const found: PciDevice[] = [];
  for (const address of await namesIn(syscalls, PCI_DEVICES)) {
    const device = await pciDevice(syscalls, address);
    if (device) found.push(device);
  }
  return found;
}

/** The devices of a group that are PCI devices. */
export async function groupDevices(syscalls: Syscalls, group: number): Promise<PciDevice[]> {
  const found: PciDevice[] = [];
  for (const address of await namesIn(syscalls, `${GROUPS}/${group}/devices`)) {
    const device = await pciDevice(syscalls, address);
    if (device) found.push(device);
  }
  return found;
}

/** All IOMMU groups, in order of number. */
export async function iommuGroups(syscalls: Syscalls): Promise<IommuGroup[]> {
  const numbers = (await namesIn(syscalls, GROUPS)).map(Number).sort((a, b) => a - b);
  const found: IommuGroup[] = [];
  for (const number of numbers) found.push({ number, devices: await groupDevices(syscalls, number) });
  return found;
}
