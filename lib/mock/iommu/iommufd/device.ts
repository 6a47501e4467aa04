/**
 * A device bound to an iommufd, and what its DMA is translated by: drivers/iommu/iommufd/device.c. Answers are 0 or
 * -errno; on failure nothing has changed.
 */

import { errno } from '../../../abi/errno.ts';
import type { Domain } from '../hardware/domain.ts';
import type { Device } from '../hardware/driver.ts';
import type { IoPageTable } from '../iova/io-page-table.ts';
import type { IommufdContext } from './context.ts';
import { type Attachment, type IommufdGroup, NO_PASID } from './group.ts';
import { type Hwpt, HwptPaging, isHwpt, pagingOf } from './hwpt.ts';
import { Ioas } from './ioas.ts';
import { IommufdObject } from './objects.ts';
import { allocatePaging, linkPaging } from './paging.ts';

/** What a guest's IOMMU knows a device by. */
export interface VirtualDevice extends IommufdObject {
  readonly viommu: IommufdObject;
}

export class DeviceObject extends IommufdObject {
  readonly context: IommufdContext;
  readonly device: Device;
  readonly group: IommufdGroup;
  vdevice: VirtualDevice | undefined;
  /** A driver of its own keeps the iommufd open while the device is bound; the test driver's does not. */
  readonly #keepsFile: boolean;

  constructor(context: IommufdContext, device: Device, keepsFile: boolean) {
    super();
    this.context = context;
    this.device = device;
    this.group = context.group(device.group);
    this.#keepsFile = keepsFile;
    // Whoever bound it.
    this.users++;
    if (keepsFile) context.file.get();
  }

  /** The page table of a PASID, or of what the device does without one. */
  attached(pasid = NO_PASID): Hwpt | undefined {
    const attachment = this.group.attachments.get(pasid);
    return attachment?.devices.has(this) ? attachment.hwpt : undefined;
  }

  override destroy(): void {
    this.device.group.release();
    if (this.#keepsFile) this.context.file.put();
  }
}

/** iommufd_device_bind(). `isolated`: whether its interrupts are. */
export function bindDevice(
  context: IommufdContext,
  device: Device,
  { isolated, keepsFile }: { readonly isolated: boolean; readonly keepsFile: boolean },
): DeviceObject | number {
  if (!isolated || !device.group.claim(context)) return -errno.EPERM;
  return context.objects.add(new DeviceObject(context, device, keepsFile));
}

/** iommufd_device_unbind() */
export function unbindDevice(object: DeviceObject): void {
  if (object.vdevice) object.context.objects.remove(object.vdevice, true);
  object.users--;
  object.context.objects.remove(object);
}

/** Attaches to an IOAS (with a page table that suits, or a new one) or to a page table; answers the page table's id. */
export function attachDevice(object: DeviceObject, ptId: number, pasid = NO_PASID): number {
  const answer = changePageTable(object, ptId, pasid, attach);
  if (answer > 0) object.users++;
  return answer;
}

/** As attachDevice, for a device that is attached: there is no moment in between. */
export function replaceDevice(object: DeviceObject, ptId: number, pasid = NO_PASID): number {
  return changePageTable(object, ptId, pasid, replace);
}

type Change = (object: DeviceObject, pasid: number, hwpt: Hwpt) => number;

function changePageTable(object: DeviceObject, ptId: number, pasid: number, change: Change): number {
  const target = object.context.objects.any(ptId);
  if (!target) return -errno.ENOENT;
  if (isHwpt(target)) return change(object, pasid, target) || target.id;
  return target instanceof Ioas ? changeToIoas(object, target, pasid, change) : -errno.EINVAL;
}

/** iommufd_device_auto_get_domain() */
function changeToIoas(object: DeviceObject, ioas: Ioas, pasid: number, change: Change): number {
  for (const hwpt of object.context.objects) {
    if (!(hwpt instanceof HwptPaging) || hwpt.ioas !== ioas || !hwpt.automatic) continue;
    const answer = change(object, pasid, hwpt);
    if (answer !== -errno.EINVAL) return answer || hwpt.id;
  }
  return makeAutomatic(object, ioas, pasid, change);
}

function makeAutomatic(object: DeviceObject, ioas: Ioas, pasid: number, change: Change): number {
  const hwpt = allocatePaging({ objects: object.context.objects, device: object.device }, ioas, 0, undefined);
  if (typeof hwpt === 'number') return hwpt;
  // A first attach comes before the page table is filled, a replacement after.
  const isAttach = change === attach;
  let error = isAttach ? change(object, pasid, hwpt) : linkPaging(hwpt);
  if (error === 0) {
    error = isAttach ? linkPaging(hwpt) : change(object, pasid, hwpt);
    if (error !== 0 && isAttach) leave(object, pasid);
  }
  const { objects } = object.context;
  if (error !== 0) {
    objects.free(hwpt);
    hwpt.destroy();
    return error;
  }
  hwpt.automatic = true;
  return objects.publish(hwpt).id;
}

/** iommufd_hw_pagetable_attach() */
function attach(object: DeviceObject, pasid: number, hwpt: Hwpt): number {
  const { group } = object;
  const present = group.attachments.get(pasid);
  if (present?.devices.has(object)) return -errno.EBUSY;
  if (present && present.hwpt !== hwpt) return -errno.EINVAL;
  const { table } = pagingOf(hwpt).ioas;
  const reserved = pasid === NO_PASID ? reserveForDevice(table, object.device) : 0;
  if (reserved !== 0) return reserved;
  const refused = present ? 0 : accepts(object, pasid, hwpt);
  if (refused !== 0) {
    if (pasid === NO_PASID) table.unreserve(object.device);
    return refused;
  }
  hwpt.users++;
  if (present) present.devices.add(object);
  else group.attachments.set(pasid, { hwpt, devices: new Set([object]) });
  return 0;
}

function accepts(object: DeviceObject, pasid: number, hwpt: Hwpt): number {
  const { device, group } = object;
  if (!group.suits(hwpt, pasid)) return -errno.EINVAL;
  const { domain } = pagingOf(hwpt);
  if (pasid !== NO_PASID) return acceptsPasid(device, pasid, domain);
  const refused = device.driver.accepts(device, domain);
  if (refused !== 0) return refused;
  const needsVdevice = !(hwpt instanceof HwptPaging) && hwpt.viommu !== undefined;
  return needsVdevice && object.vdevice?.viommu !== hwpt.viommu ? -errno.ENOENT : 0;
}

/** iommu_attach_device_pasid(): a device without PASIDs issues none, so it may be given any. */
function acceptsPasid({ driver, pasids }: Device, pasid: number, domain: Domain): number {
  return domain.driver !== driver || (pasids > 0 && pasid >= pasids) ? -errno.EINVAL : 0;
}

/** iopt_table_enforce_dev_resv_regions() */
function reserveForDevice(table: IoPageTable, device: Device): number {
  for (const { start, last } of device.reserved) {
    const refused = table.reserve(start, last, device);
    if (refused !== 0) {
      table.unreserve(device);
      return refused;
    }
  }
  return 0;
}

/** iommufd_device_do_replace() */
function replace(object: DeviceObject, pasid: number, hwpt: Hwpt): number {
  const { group } = object;
  const present = group.attachments.get(pasid);
  if (!present?.devices.has(object)) return -errno.EINVAL;
  if (hwpt === present.hwpt) return 0;
  const before = pagingOf(present.hwpt).ioas.table;
  const after = pagingOf(hwpt).ioas.table;
  const moves = pasid === NO_PASID && before !== after;
  const refused = (moves ? reserveAll(after, present) : 0) || accepts(object, pasid, hwpt);
  if (refused !== 0) {
    if (moves) for (const { device } of present.devices) after.unreserve(device);
    return refused;
  }
  if (moves) for (const { device } of present.devices) before.unreserve(device);
  const old = present.hwpt;
  present.hwpt = hwpt;
  hwpt.users += present.devices.size;
  for (let i = 0; i < present.devices.size; i++) release(object.context, old);
  return 0;
}

function reserveAll(table: IoPageTable, { devices }: Attachment): number {
  for (const { device } of devices) {
    const refused = reserveForDevice(table, device);
    if (refused !== 0) return refused;
  }
  return 0;
}

/** iommufd_device_detach(): nothing happens where nothing is attached. */
export function detachDevice(object: DeviceObject, pasid = NO_PASID): void {
  const hwpt = leave(object, pasid);
  if (!hwpt) return;
  release(object.context, hwpt, 0);
  object.users--;
}

function leave(object: DeviceObject, pasid: number): Hwpt | undefined {
  const attachment = object.group.attachments.get(pasid);
  if (!attachment?.devices.delete(object)) return undefined;
  const { hwpt } = attachment;
  if (attachment.devices.size === 0) object.group.attachments.delete(pasid);
  if (pasid === NO_PASID) pagingOf(hwpt).ioas.table.unreserve(object.device);
  hwpt.users--;
  return hwpt;
}

/** iommufd_hw_pagetable_put(): one that was made automatically goes with its last user. */
function release(context: IommufdContext, hwpt: Hwpt, uses = 1): void {
  hwpt.users -= uses;
  if (hwpt instanceof HwptPaging && hwpt.automatic && hwpt.users === 0) context.objects.remove(hwpt);
}
