/** The test driver's devices: made, attached, and made to fault. */

import { errno } from '../../../abi/errno.ts';
import type { IoctlOut } from '../../../abi/ioctl.ts';
import { IOMMU_TEST_DEV_CACHE_DEFAULT, type iommuTest } from '../../../abi/iommufd-test.ts';
import type { IommufdContext } from '../iommufd/context.ts';
import {
  attachDevice,
  bindDevice,
  DeviceObject,
  detachDevice,
  replaceDevice,
  unbindDevice,
} from '../iommufd/device.ts';
import { NO_PASID } from '../iommufd/group.ts';
import { HwptNested, isHwpt } from '../iommufd/hwpt.ts';
import { IommufdObject } from '../iommufd/objects.ts';
import type { Reply } from '../iommufd/sized-dispatch.ts';
import { Vdevice } from '../iommufd/viommu.ts';
import { KNOWN_DEVICE_FLAGS, MockDevice } from './mock-driver.ts';

type Test = typeof iommuTest;
type Args<Name extends keyof Test> = IoctlOut<Test[Name]>;

/** Who has bound a mock device: destroying it takes the device away. */
class TestDevice extends IommufdObject {
  device: DeviceObject | undefined;

  override destroy(): void {
    if (!this.device) return;
    detachDevice(this.device);
    unbindDevice(this.device);
  }
}

interface Made {
  readonly out_stdev_id: number;
  readonly out_hwpt_id: number;
  readonly out_idev_id: number;
}

/** iommufd_test_mock_domain(): a new device, attached to an IOAS or a page table. */
function makeDevice(context: IommufdContext, ptId: number, flags: number, tell: (made: Made) => number): number {
  const owner = new TestDevice();
  context.objects.reserve(owner);
  const fail = (error: number): number => {
    context.objects.free(owner);
    return error;
  };
  if (flags & ~KNOWN_DEVICE_FLAGS) return fail(-errno.EINVAL);
  const mock = new MockDevice(context.host.nextNumber(), flags, IOMMU_TEST_DEV_CACHE_DEFAULT);
  const device = bindDevice(context, mock, { isolated: true, keepsFile: false });
  if (typeof device === 'number') return fail(device);
  const hwpt = attachDevice(device, ptId);
  if (hwpt < 0) {
    unbindDevice(device);
    return fail(hwpt);
  }
  owner.device = device;
  const error = tell({ out_stdev_id: owner.id, out_hwpt_id: hwpt, out_idev_id: device.id });
  if (error === 0) {
    context.objects.publish(owner);
    return 0;
  }
  owner.destroy();
  return fail(error);
}

export const mockDomain = (
  context: IommufdContext,
  args: Args<'MOCK_DOMAIN'>,
  reply: Reply<Test['MOCK_DOMAIN']>,
): number => makeDevice(context, args.id, 0, (made) => reply({ ...args, mock_domain: made }));

export function mockDomainFlags(
  context: IommufdContext,
  args: Args<'MOCK_DOMAIN_FLAGS'>,
  reply: Reply<Test['MOCK_DOMAIN_FLAGS']>,
): number {
  const { dev_flags } = args.mock_domain_flags;
  return makeDevice(context, args.id, dev_flags, (made) =>
    reply({ ...args, mock_domain_flags: { ...made, dev_flags } }),
  );
}

const deviceOf = ({ objects }: IommufdContext, id: number): DeviceObject | undefined =>
  objects.find(id, TestDevice)?.device;

export function mockDomainReplace(
  context: IommufdContext,
  args: Args<'MOCK_DOMAIN_REPLACE'>,
  reply: Reply<Test['MOCK_DOMAIN_REPLACE']>,
): number {
  const device = deviceOf(context, args.id);
  if (!device) return -errno.ENOENT;
  const hwpt = replaceDevice(device, args.mock_domain_replace.pt_id);
  return hwpt < 0 ? hwpt : reply({ ...args, mock_domain_replace: { pt_id: hwpt } });
}

export function pasidAttach(
  context: IommufdContext,
  args: Args<'PASID_ATTACH'>,
  reply: Reply<Test['PASID_ATTACH']>,
): number {
  const device = deviceOf(context, args.id);
  if (!device) return -errno.ENOENT;
  const { pasid, pt_id } = args.pasid_attach;
  const hwpt = attachDevice(device, pt_id, pasid);
  if (hwpt < 0) return hwpt;
  const error = reply({ ...args, pasid_attach: { pasid, pt_id: hwpt } });
  if (error !== 0) detachDevice(device, pasid);
  return error;
}

export function pasidReplace(
  context: IommufdContext,
  args: Args<'PASID_REPLACE'>,
  reply: Reply<Test['PASID_REPLACE']>,
): number {
  const device = deviceOf(context, args.id);
  if (!device) return -errno.ENOENT;
  const { pasid, pt_id } = args.pasid_replace;
  const hwpt = replaceDevice(device, pt_id, pasid);
  return hwpt < 0 ? hwpt : reply({ ...args, pasid_replace: { pasid, pt_id: hwpt } });
}

export function pasidDetach(context: IommufdContext, args: Args<'PASID_DETACH'>): number {
  const device = deviceOf(context, args.id);
  if (!device) return -errno.ENOENT;
  detachDevice(device, args.pasid_detach.pasid);
  return 0;
}

/** Whether this page table, or with id 0 none, is attached to a PASID. */
export function pasidCheck(context: IommufdContext, args: Args<'PASID_CHECK_HWPT'>): number {
  const device = deviceOf(context, args.id);
  if (!device) return -errno.ENOENT;
  const { pasid, hwpt_id } = args.pasid_check;
  const attached = device.attached(pasid);
  if (hwpt_id === 0) return attached ? -errno.EINVAL : 0;
  const hwpt = context.objects.any(hwpt_id);
  if (!hwpt) return -errno.ENOENT;
  return isHwpt(hwpt) && hwpt === attached ? 0 : -errno.EINVAL;
}

export function checkIotlb({ objects }: IommufdContext, args: Args<'MD_CHECK_IOTLB'>): number {
  const hwpt = objects.find(args.id, HwptNested);
  if (!hwpt) return -errno.ENOENT;
  return hwpt.iotlb[args.check_iotlb.id] === args.check_iotlb.iotlb ? 0 : -errno.EINVAL;
}

export function checkCache({ objects }: IommufdContext, args: Args<'DEV_CHECK_CACHE'>): number {
  const device = objects.find(args.id, DeviceObject)?.device;
  if (!device) return -errno.ENOENT;
  const { id, cache } = args.check_dev_cache;
  return device instanceof MockDevice && device.caches[id] === cache ? 0 : -errno.EINVAL;
}

/** IOMMU_FAULT_PAGE_REQUEST_PASID_VALID and _LAST_PAGE. */
const PASID_VALID = 1;
const LAST_PAGE = 2;

/** A page fault of a device: for the queue of its page table, and for nobody where that has none. */
export function triggerFault({ objects }: IommufdContext, args: Args<'TRIGGER_IOPF'>): number {
  const { dev_id, pasid, grpid, perm, addr } = args.trigger_iopf;
  const device = objects.find(dev_id, DeviceObject);
  if (!device) return -errno.ENOENT;
  if (!(device.device instanceof MockDevice)) return -errno.EINVAL;
  device.attached(pasid)?.faults?.report({
    deviceId: device.id,
    flags: LAST_PAGE | (pasid === NO_PASID ? 0 : PASID_VALID),
    pasid,
    group: grpid,
    permissions: perm,
    address: addr,
    source: device,
  });
  return 0;
}

const VEVENTQ_TYPE_SELFTEST = 0xbeef_beef;

/** An event of a guest's IOMMU, about a device that is attached through it. */
export function triggerEvent({ objects }: IommufdContext, args: Args<'TRIGGER_VEVENT'>): number {
  const device = objects.find(args.trigger_vevent.dev_id, DeviceObject);
  if (!device) return -errno.ENOENT;
  const hwpt = device.attached();
  const { vdevice } = device;
  const isVirtual = hwpt instanceof HwptNested && hwpt.viommu !== undefined;
  if (!isVirtual || !(vdevice instanceof Vdevice) || vdevice.virtualId === 0n) return -errno.ENOENT;
  const queue = vdevice.viommu.eventQueues.get(VEVENTQ_TYPE_SELFTEST);
  if (!queue) return -errno.EOPNOTSUPP;
  const event = new Uint8Array(4);
  new DataView(event.buffer).setUint32(0, Number(BigInt.asUintN(32, vdevice.virtualId)), true);
  queue.report(event);
  return 0;
}
