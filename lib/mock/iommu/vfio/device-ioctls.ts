/** What every VFIO device's file answers, as vfio-pci does for an edu: drivers/vfio/pci/vfio_pci_core.c. */

import { errno } from '../../../abi/errno.ts';
import * as abi from '../../../abi/vfio-device.ts';
import type { IommuHost } from '../host.ts';
import { CONFIG_BYTES } from '../pci/config-space.ts';
import { EDU_BAR_BYTES } from '../pci/edu.ts';
import { ArgsizedDispatcher, type Call } from './argsized-dispatch.ts';
import { INTERRUPTS } from './interrupts.ts';
import type { VfioDevice } from './vfio-device.ts';

interface DeviceFile {
  readonly host: IommuHost;
  readonly device: VfioDevice;
}

const READ_WRITE = abi.VFIO_REGION_INFO_FLAG_READ | abi.VFIO_REGION_INFO_FLAG_WRITE;
const NOTHING = { flags: 0, size: 0 };

/** By index; there is no VGA, which is the last. */
export const REGIONS: readonly { readonly flags: number; readonly size: number }[] = [
  { flags: READ_WRITE | abi.VFIO_REGION_INFO_FLAG_MMAP, size: EDU_BAR_BYTES },
  NOTHING,
  NOTHING,
  NOTHING,
  NOTHING,
  NOTHING,
  NOTHING,
  { flags: READ_WRITE, size: CONFIG_BYTES },
];

function getInfo(_file: DeviceFile, { args, writeBack }: Call<typeof abi.VFIO_DEVICE_GET_INFO>): number {
  const info = { ...args, flags: abi.VFIO_DEVICE_FLAGS_PCI, num_regions: 9, num_irqs: 5, cap_offset: 0, pad: 0 };
  return writeBack(info, Math.min(args.argsz, abi.VFIO_DEVICE_GET_INFO.struct.size));
}

function getRegionInfo(_file: DeviceFile, { args, writeBack }: Call<typeof abi.VFIO_DEVICE_GET_REGION_INFO>): number {
  const region = REGIONS[args.index];
  if (!region) return -errno.EINVAL;
  return writeBack({ ...args, flags: region.flags, size: BigInt(region.size), offset: BigInt(args.index) << 40n });
}

function getIrqInfo(_file: DeviceFile, { args, writeBack }: Call<typeof abi.VFIO_DEVICE_GET_IRQ_INFO>): number {
  const count = INTERRUPTS[args.index];
  if (count === undefined) return -errno.EINVAL;
  const kind =
    args.index === abi.VFIO_PCI_INTX_IRQ_INDEX
      ? abi.VFIO_IRQ_INFO_MASKABLE | abi.VFIO_IRQ_INFO_AUTOMASKED
      : abi.VFIO_IRQ_INFO_NORESIZE;
  return writeBack({ ...args, flags: abi.VFIO_IRQ_INFO_EVENTFD | kind, count });
}

const DATA_TYPES = abi.VFIO_IRQ_SET_DATA_NONE | abi.VFIO_IRQ_SET_DATA_BOOL | abi.VFIO_IRQ_SET_DATA_EVENTFD;
const ACTIONS = abi.VFIO_IRQ_SET_ACTION_MASK | abi.VFIO_IRQ_SET_ACTION_UNMASK | abi.VFIO_IRQ_SET_ACTION_TRIGGER;
const U32_MAX = 0xffff_ffff;

/** vfio_set_irqs_validate_and_prepare(), and then the device's own part. */
function setIrqs({ host, device }: DeviceFile, { args, readAt }: Call<typeof abi.VFIO_DEVICE_SET_IRQS>): number {
  const { argsz, flags, index, start, count } = args;
  const available = INTERRUPTS[index];
  if (available === undefined || count >= U32_MAX - start || flags & ~(DATA_TYPES | ACTIONS)) return -errno.EINVAL;
  if (start >= available || start + count > available) return -errno.EINVAL;
  const each = dataBytes(flags & DATA_TYPES);
  if (each === undefined) return -errno.EINVAL;
  const { size } = abi.VFIO_DEVICE_SET_IRQS.struct;
  if (argsz - size < count * each) return -errno.EINVAL;
  const data = readAt(size, count * each);
  return data ? device.interrupts.set(host.fds, { flags, index, start, count, data }) : -errno.EFAULT;
}

function dataBytes(type: number): number | undefined {
  switch (type) {
    case abi.VFIO_IRQ_SET_DATA_NONE:
      return 0;
    case abi.VFIO_IRQ_SET_DATA_BOOL:
      return 1;
    case abi.VFIO_IRQ_SET_DATA_EVENTFD:
      return 4;
    default:
      return undefined;
  }
}

const { VFIO_DEVICE_FEATURE_GET: GET, VFIO_DEVICE_FEATURE_SET: SET, VFIO_DEVICE_FEATURE_PROBE: PROBE } = abi;

/** vfio_ioctl_device_feature(): the device has none that this package knows. */
function feature(_file: DeviceFile, { args: { flags } }: Call<typeof abi.VFIO_DEVICE_FEATURE>): number {
  if (flags & ~(abi.VFIO_DEVICE_FEATURE_MASK | GET | SET | PROBE)) return -errno.EINVAL;
  if (!(flags & PROBE) && flags & GET && flags & SET) return -errno.EINVAL;
  return -errno.ENOTTY;
}

export const deviceDispatcher = new ArgsizedDispatcher<DeviceFile>()
  .on(abi.VFIO_DEVICE_GET_INFO, getInfo)
  .on(abi.VFIO_DEVICE_GET_REGION_INFO, getRegionInfo)
  .on(abi.VFIO_DEVICE_GET_IRQ_INFO, getIrqInfo)
  .on(abi.VFIO_DEVICE_SET_IRQS, setIrqs)
  .on(abi.VFIO_DEVICE_FEATURE, feature)
  // There is no way to reset this device, alone or with its bus.
  .on(abi.VFIO_DEVICE_RESET, () => -errno.EINVAL)
  .on(abi.VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, () => -errno.ENODEV);
