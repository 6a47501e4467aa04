/** /sys of the PCI bus and of the IOMMU groups. What the files say was read from a running kernel. */

import { errno } from '../../../abi/errno.ts';
import { type FileOpener, type PathSource, type Text, textFile } from '../../process/index.ts';
import { interruptWindow } from '../hardware/vtd.ts';
import { type PciBus, VFIO_PCI } from './bus.ts';
import { EDU_BAR_BYTES } from './edu.ts';
import { EDU_ID, type PciDevice } from './pci-device.ts';

const BUS = '/sys/bus/pci';
const ROOT = '/sys/devices/pci0000:00';
const GROUPS = '/sys/kernel/iommu_groups';

type Files = [path: string, open: FileOpener][];
type Links = [path: string, target: string][];

export class PciSysfs implements PathSource {
  readonly #bus: PciBus;

  constructor(bus: PciBus) {
    this.#bus = bus;
  }

  files(): Files {
    const bus = this.#bus;
    const texts: [string, Text][] = [
      [`${BUS}/drivers_probe`, { write: (text) => bus.probe(text.trim()) }],
      [`${BUS}/drivers_autoprobe`, { read: () => '1\n' }],
      ...bus.devices.flatMap((device) => within(`${ROOT}/${device.address}`, deviceTexts(device))),
      ...[...bus.drivers].flatMap((driver) => within(`${BUS}/drivers/${driver}`, driverTexts(bus, driver))),
      ...bus.groups.flatMap(({ id }) => within(`${GROUPS}/${id}`, GROUP_TEXTS)),
    ];
    return texts.map(([path, text]) => [path, textFile(text)]);
  }

  links(): Links {
    return this.#bus.devices.flatMap(({ address, driver, hardware }) => {
      const links: Links = [
        [`${BUS}/devices/${address}`, `../../../devices/pci0000:00/${address}`],
        [`${ROOT}/${address}/iommu_group`, `../../../kernel/iommu_groups/${hardware.group.id}`],
        [`${ROOT}/${address}/subsystem`, '../../../bus/pci'],
        [`${GROUPS}/${hardware.group.id}/devices/${address}`, `../../../../devices/pci0000:00/${address}`],
      ];
      if (driver !== undefined) {
        links.push([`${ROOT}/${address}/driver`, `../../../bus/pci/drivers/${driver}`]);
        links.push([`${BUS}/drivers/${driver}/${address}`, `../../../../devices/pci0000:00/${address}`]);
      }
      return links;
    });
  }
}

const within = (directory: string, texts: Readonly<Record<string, Text>>): [string, Text][] =>
  Object.entries(texts).map(([name, text]) => [`${directory}/${name}`, text]);

const line = (text: string): Text => ({ read: () => `${text}\n` });
const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');

const { vendor, device: model, class: kind, revision, subsystemVendor, subsystemDevice } = EDU_ID;
const words = (...values: number[]): string => values.map((value) => hex(value, 4).toUpperCase()).join(':');
const long = (value: number): string => hex(value, 8).toUpperCase();
const MODALIAS = `pci:v${long(vendor)}d${long(model)}sv${long(subsystemVendor)}sd${long(subsystemDevice)}bc00scFFi00`;

/** Regions, ROM and what bridges have. */
const RESOURCES = 13;
/** IORESOURCE_MEM, and that its size is its alignment. */
const MEMORY = 0x4_0200;

function deviceTexts(device: PciDevice): Readonly<Record<string, Text>> {
  return {
    vendor: line(`0x${hex(vendor, 4)}`),
    device: line(`0x${hex(model, 4)}`),
    class: line(`0x${hex(kind, 6)}`),
    revision: line(`0x${hex(revision, 2)}`),
    subsystem_vendor: line(`0x${hex(subsystemVendor, 4)}`),
    subsystem_device: line(`0x${hex(subsystemDevice, 4)}`),
    irq: line('10'),
    numa_node: line('-1'),
    enable: { read: () => (device.driver === undefined ? '0\n' : '1\n') },
    modalias: line(MODALIAS),
    resource: { read: () => resources(device.region) },
    driver_override: overrideOf(device),
    uevent: { read: () => uevent(device) },
  };
}

function resources(region: number): string {
  const at = (start: number, last: number, flags: number): string =>
    `${[start, last, flags].map((value) => `0x${hex(value, 16)}`).join(' ')}\n`;
  return at(region, region + EDU_BAR_BYTES - 1, MEMORY) + at(0, 0, 0).repeat(RESOURCES - 1);
}

/** driver_override_store(): a line's end alone takes it back. */
const overrideOf = (device: PciDevice): Text => ({
  read: () => `${device.driverOverride ?? '(null)'}\n`,
  write: (text) => {
    const [name = ''] = text.split('\n', 1);
    device.driverOverride = name === '' ? undefined : name;
    return 0;
  },
});

function uevent({ address, driver }: PciDevice): string {
  const fields = [
    ...(driver === undefined ? [] : [`DRIVER=${driver}`]),
    `PCI_CLASS=${kind.toString(16).toUpperCase()}`,
    `PCI_ID=${words(vendor, model)}`,
    `PCI_SUBSYS_ID=${words(subsystemVendor, subsystemDevice)}`,
    `PCI_SLOT_NAME=${address}`,
    `MODALIAS=${MODALIAS}`,
  ];
  return `${fields.join('\n')}\n`;
}

function driverTexts(bus: PciBus, driver: string): Readonly<Record<string, Text>> {
  const texts: Record<string, Text> = {
    bind: { write: (text) => bus.bind(driver, text.trim()) },
    unbind: { write: (text) => bus.unbind(driver, text.trim()) },
  };
  if (driver !== VFIO_PCI) return { ...texts, new_id: { write: () => -errno.EINVAL } };
  return {
    ...texts,
    new_id: { write: (text) => bus.addId(text) },
    remove_id: { write: (text) => bus.removeId(text) },
  };
}

const address = (value: bigint): string => `0x${value.toString(16).padStart(16, '0')}`;

const GROUP_TEXTS: Readonly<Record<string, Text>> = {
  type: line('DMA-FQ'),
  reserved_regions: line(`${address(interruptWindow.start)} ${address(interruptWindow.last)} msi`),
};
