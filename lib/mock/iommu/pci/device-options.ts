/** Which PCI devices a mock has, as its maker says it. */

import { checkInteger, checkOptions, wrongType, wrongValue } from '../../../abi/invalid.ts';

/** A device of the mock: an edu, as QEMU has it. */
export interface DeviceOption {
  /** As in 0000:00:01.0. */
  readonly address: string;
  /** The driver that has it at first, and that knows its kind; none has it when left out. */
  readonly driver?: string;
  /** The number of its IOMMU group; one of its own when left out. */
  readonly group?: number;
}

/** As in the lab: one, which vfio-pci has. */
const DEFAULT: readonly DeviceOption[] = [{ address: '0000:00:01.0', driver: 'vfio-pci' }];

const ADDRESS = /^0000:00:[0-9a-f]{2}\.[0-7]$/;
const DRIVER = /^[\w-]+$/;
const KEYS = ['address', 'driver', 'group'] as const satisfies (keyof DeviceOption)[];

/** @throws TypeError, RangeError */
export function checkDevices(devices: readonly DeviceOption[] = DEFAULT): readonly DeviceOption[] {
  if (!Array.isArray(devices)) throw wrongType('devices', 'an array of { address, driver, group }', devices);
  const taken = new Set<string>();
  for (const [i, device] of devices.entries()) {
    const { address } = checkDevice(`devices[${i}]`, device);
    if (taken.has(address)) throw wrongValue(`devices[${i}].address`, 'an address that no other device has', address);
    taken.add(address);
  }
  return devices;
}

function checkDevice(name: string, device: unknown): DeviceOption {
  const options = checkOptions<DeviceOption>(name, device as DeviceOption, KEYS);
  const { address, driver, group } = options;
  const wanted = 'a PCI address of domain and bus 0, as in 0000:00:01.0';
  if (typeof address !== 'string') throw wrongType(`${name}.address`, wanted, address);
  if (!ADDRESS.test(address)) throw wrongValue(`${name}.address`, wanted, address);
  if (driver !== undefined && (typeof driver !== 'string' || !DRIVER.test(driver))) {
    throw wrongType(`${name}.driver`, "a driver's name", driver);
  }
  if (group !== undefined) checkInteger(`${name}.group`, group, 0, 0x7fff_ffff);
  return options;
}
