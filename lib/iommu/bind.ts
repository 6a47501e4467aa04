/** Lending a PCI device to VFIO, and giving it back as it was. */

import { checkOptions, wrongType, wrongValue } from '../abi/invalid.ts';
import { type Context, Handle, Resource, type Result, success, UnsupportedError, unwrap } from '../host/index.ts';
import type { FileWrite } from '../syscalls/seam.ts';
import { DeviceInUseError } from './errors.ts';
import { devicesInUse } from './in-use.ts';
import { groupDevices, PCI_DEVICES, type PciDevice, pciDevice } from './inventory.ts';
import { readAttribute, writeAttribute } from './sysfs.ts';
import { tryClose } from './try-close.ts';

const DRIVERS = '/sys/bus/pci/drivers';
const VFIO_PCI = 'vfio-pci';
/** Drivers that start no transfers of their own, so that a group with them can be given away: driver_managed_dma. */
const HARMLESS = [VFIO_PCI, 'pci-stub', 'pcieport'];
/** What sysfs says where no driver is asked for, and what asks for none. */
const NO_OVERRIDE = '(null)';
const CLEAR = '\n';

export interface BindOptions {
  /** Takes it away from the driver that has it. Default: false; a device that a driver has is refused. */
  readonly unbind?: boolean;
}

const ADDRESS = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/;

/** A PCI address in full, as sysfs writes it. */
export function checkAddress(address: unknown): string {
  if (typeof address !== 'string') throw wrongType('address', 'a PCI address, as in 0000:00:05.0', address);
  if (!ADDRESS.test(address)) throw wrongValue('address', 'a PCI address in full, as in 0000:00:05.0', address);
  return address;
}

export function checkBindOptions(options: BindOptions): boolean {
  const { unbind = false } = checkOptions<BindOptions>('options', options, ['unbind']);
  if (typeof unbind !== 'boolean') throw wrongType('options.unbind', 'a boolean', unbind);
  return unbind;
}

/**
 * Gives the device to vfio-pci.
 *
 * @throws DeviceInUseError, UnsupportedError before anything is changed
 */
export async function tryBind(context: Context, address: string, unbind: boolean): Promise<Result<VfioBinding>> {
  return await context.handle.use(async () => {
    const device = await checkFree(context, address, unbind);
    if (device.driver === VFIO_PCI) return success(new VfioBinding(context, device, []));
    const override = await readAttribute(context.syscalls, `${PCI_DEVICES}/${address}/driver_override`);
    const back = wayBack(device, override === NO_OVERRIDE || override === undefined ? CLEAR : override);
    const result = await writeAll(context, wayThere(device));
    if (result.ok) return success(new VfioBinding(context, device, back));
    // What it was given back to or not is no matter: the first error is the one to tell.
    for (const step of back) await writeAttribute(context.syscalls, step.path, step.text);
    return result;
  });
}

async function checkFree(context: Context, address: string, unbind: boolean): Promise<PciDevice> {
  const { syscalls } = context;
  const device = await pciDevice(syscalls, address);
  if (!device) throw new UnsupportedError(`there is no PCI device ${address} here; see host.vfio.devices()`);
  const { driver, group } = device;
  if (group === undefined) {
    throw new UnsupportedError(
      `${address} is in no IOMMU group: turn the IOMMU on (firmware, and intel_iommu=on on the kernel's command line)`,
    );
  }
  if (typeof (await syscalls.readDirectory(`${DRIVERS}/${VFIO_PCI}`)) === 'number') {
    throw new UnsupportedError('this kernel has no vfio-pci driver: modprobe vfio-pci (CONFIG_VFIO_PCI)');
  }
  if (driver !== undefined && driver !== VFIO_PCI && !unbind) {
    const message = `${address} is in use by ${driver}; { unbind: true } takes it away from that driver until it is given back`;
    throw new DeviceInUseError(message, [device]);
  }
  const peers = (await groupDevices(syscalls, group)).filter((peer) => peer.address !== address && isUsed(peer));
  if (peers.length > 0) {
    const list = peers.map((peer) => `${peer.address} (${peer.driver})`).join(', ');
    const message = `${address} shares IOMMU group ${group} with devices in use, which would have to be unbound first: ${list}`;
    throw new DeviceInUseError(message, peers);
  }
  return device;
}

const isUsed = ({ driver }: PciDevice): boolean => driver !== undefined && !HARMLESS.includes(driver);

function wayThere({ address, driver }: PciDevice): FileWrite[] {
  const folder = `${PCI_DEVICES}/${address}`;
  return [
    { path: `${folder}/driver_override`, text: VFIO_PCI },
    ...(driver === undefined ? [] : [{ path: `${DRIVERS}/${driver}/unbind`, text: address }]),
    { path: `${DRIVERS}/${VFIO_PCI}/bind`, text: address },
  ];
}

function wayBack({ address, driver }: PciDevice, override: string): FileWrite[] {
  const folder = `${PCI_DEVICES}/${address}`;
  return [
    { path: `${DRIVERS}/${VFIO_PCI}/unbind`, text: address },
    { path: `${folder}/driver_override`, text: override },
    ...(driver === undefined ? [] : [{ path: `${DRIVERS}/${driver}/bind`, text: address }]),
  ];
}

/** In order, up to the first that is refused. */
async function writeAll(context: Context, writes: readonly FileWrite[]): Promise<Result<void>> {
  for (const { path, text } of writes) {
    const result = await writeAttribute(context.syscalls, path, text);
    if (!result.ok) return result;
  }
  return success(undefined);
}

/**
 * Made by `host.vfio.bind()`. Closing it gives the device back to the driver that had it, or to none; so does the end
 * of the process, however it comes. A device that vfio-pci had before stays there.
 */
export class VfioBinding extends Resource<Handle> {
  readonly address: string;
  /** The driver that had it, and gets it back. */
  readonly driver: string | undefined;

  constructor(context: Context, { address, driver }: PciDevice, back: readonly FileWrite[]) {
    const callOff = back.length > 0 ? context.syscalls.afterDeath(back) : () => {};
    const release = async () => {
      if (back.length > 0) checkUnused(context, address);
      unwrap(await writeAll(context, back));
      callOff();
    };
    super(context, context.adopt(new Handle(`VfioBinding ${address}`, release, { mayBeRefused: true })));
    this.address = address;
    this.driver = driver;
  }

  /**
   * Gives the device back.
   *
   * @throws DeviceInUseError while this host has the device open: the kernel would wait for it for ever
   * @throws KernelError when the driver does not take it back
   */
  override close(): Promise<void> {
    return super.close();
  }

  /** As `close`, with the kernel's refusal as a value. @throws DeviceInUseError */
  async tryClose(): Promise<Result<void>> {
    return await tryClose(this.context, this.handle);
  }
}

function checkUnused(context: Context, address: string): void {
  const [open] = devicesInUse(context).openOnes(address);
  if (open)
    throw new DeviceInUseError(`${address} cannot be given back while ${open.title} is open: close it first`, []);
}
