/** IOMMU_VIOMMU_ALLOC, VDEVICE_ALLOC and HW_QUEUE_ALLOC: drivers/iommu/iommufd/viommu.c. */

import { errno } from '../../../abi/errno.ts';
import { U64_MAX } from '../../../abi/invalid.ts';
import type { IoctlOut } from '../../../abi/ioctl.ts';
import type { IOMMU_HW_QUEUE_ALLOC, IOMMU_VDEVICE_ALLOC, IOMMU_VIOMMU_ALLOC } from '../../../abi/iommufd.ts';
import { IOMMU_VIOMMU_TYPE_SELFTEST } from '../../../abi/iommufd-test.ts';
import { PAGE_SIZE } from '../../../abi/linux.ts';
import { Folio } from '../../memory.ts';
import { mockDriver } from '../test-driver/mock-driver.ts';
import type { IommufdContext } from './context.ts';
import { DeviceObject } from './device.ts';
import { HwptPaging } from './hwpt.ts';
import { InKernelAccess } from './in-kernel-access.ts';
import { IommufdObject } from './objects.ts';
import type { Reply } from './sized-dispatch.ts';
import { userData } from './user-data.ts';
import { Vdevice, Viommu } from './viommu.ts';

const PAGE = BigInt(PAGE_SIZE);

type Alloc = typeof IOMMU_VIOMMU_ALLOC;

export function viommuAlloc(context: IommufdContext, args: IoctlOut<Alloc>, reply: Reply<Alloc>): number {
  if (args.flags !== 0 || args.type === 0) return -errno.EOPNOTSUPP;
  const device = context.objects.find(args.dev_id, DeviceObject)?.device;
  if (!device) return -errno.ENOENT;
  if (device.driver !== mockDriver || args.type !== IOMMU_VIOMMU_TYPE_SELFTEST) return -errno.EOPNOTSUPP;
  const hwpt = context.objects.find(args.hwpt_id, HwptPaging);
  if (!hwpt) return -errno.ENOENT;
  if (!hwpt.nestParent) return -errno.EINVAL;
  // The driver's loopback of data through registers that can be mapped is not mocked; see known-differences.ts.
  if (userData(context, args.type, args.data_uptr, args.data_len)) return -errno.EOPNOTSUPP;
  const viommu = new Viommu(args.type, device.driver, hwpt);
  return publish(context, viommu, () => reply({ ...args, out_viommu_id: viommu.id }));
}

type Vdev = typeof IOMMU_VDEVICE_ALLOC;

export function vdeviceAlloc(context: IommufdContext, args: IoctlOut<Vdev>, reply: Reply<Vdev>): number {
  const viommu = context.objects.find(args.viommu_id, Viommu);
  const device = context.objects.find(args.dev_id, DeviceObject);
  if (!viommu || !device) return -errno.ENOENT;
  if (device.device.driver !== viommu.driver) return -errno.EINVAL;
  if (device.vdevice || viommu.vdevices.has(args.virt_id)) return -errno.EEXIST;
  const vdevice = new Vdevice(viommu, device, args.virt_id);
  return publish(context, vdevice, () => reply({ ...args, out_vdevice_id: vdevice.id }));
}

/** Gives it an id and tells the caller; who cannot be told does not get it. */
function publish(context: IommufdContext, object: IommufdObject, tell: () => number): number {
  context.objects.reserve(object);
  const error = tell();
  if (error === 0) context.objects.publish(object);
  else {
    context.objects.free(object);
    object.destroy();
  }
  return error;
}

const QUEUE_TYPE_SELFTEST = 0xdead_beef;
const MAX_QUEUES = 2;

/** Guest memory that the hardware uses by its physical address: it cannot be unmapped meanwhile. */
class HardwareQueue extends IommufdObject {
  readonly #viommu: Viommu;
  readonly #index: number;
  readonly #access: InKernelAccess;
  readonly #range: { start: bigint; length: bigint };
  readonly #before: IommufdObject | undefined;

  constructor(viommu: Viommu, index: number, access: InKernelAccess, range: { start: bigint; length: bigint }) {
    super();
    this.#viommu = viommu;
    this.#index = index;
    this.#access = access;
    this.#range = range;
    this.#before = viommu.hardwareQueues.get(index - 1);
    if (this.#before) this.#before.users++;
    viommu.users++;
    viommu.hardwareQueues.set(index, this);
  }

  override destroy(): void {
    this.#viommu.hardwareQueues.delete(this.#index);
    if (this.#before) this.#before.users--;
    this.#access.unpin(this.#range.start, this.#range.length);
    dropAccess(this.#access);
    this.#viommu.users--;
  }
}

type Queue = typeof IOMMU_HW_QUEUE_ALLOC;

export function hwQueueAlloc(context: IommufdContext, args: IoctlOut<Queue>, reply: Reply<Queue>): number {
  const { nesting_parent_iova: iova, length, index } = args;
  if (args.flags !== 0 || args.type === 0) return -errno.EOPNOTSUPP;
  if (length === 0n) return -errno.EINVAL;
  if (iova + length - 1n > U64_MAX) return -errno.EOVERFLOW;
  const viommu = context.objects.find(args.viommu_id, Viommu);
  if (!viommu) return -errno.ENOENT;
  if (args.type !== QUEUE_TYPE_SELFTEST) return -errno.EOPNOTSUPP;
  const start = iova - (iova % PAGE);
  const range = { start, length: ((iova % PAGE) + length + PAGE - 1n) & -PAGE };
  const access = takeContiguous(context, viommu, range);
  if (typeof access === 'number') return access;
  const refused = refusesQueue(viommu, index);
  if (refused !== 0) {
    access.unpin(range.start, range.length);
    dropAccess(access);
    return refused;
  }
  const queue = new HardwareQueue(viommu, index, access, range);
  return publish(context, queue, () => reply({ ...args, out_hw_queue_id: queue.id }));
}

function refusesQueue(viommu: Viommu, index: number): number {
  if (index >= MAX_QUEUES) return -errno.EINVAL;
  if (viommu.hardwareQueues.has(index)) return -errno.EEXIST;
  return index > 0 && !viommu.hardwareQueues.has(index - 1) ? -errno.EIO : 0;
}

/** Pins guest memory that lies in one piece in physical memory. */
function takeContiguous(
  context: IommufdContext,
  viommu: Viommu,
  { start, length }: { start: bigint; length: bigint },
): InKernelAccess | number {
  const access = new InKernelAccess(context, { takesPages: true, locks: true, onUnmap: () => {} });
  context.objects.add(access);
  const attached = access.change(viommu.hwpt.ioas);
  const pages = attached || access.pin(start, length, false);
  const fail = (error: number): number => {
    dropAccess(access);
    return error;
  };
  if (typeof pages === 'number') return fail(pages);
  const scattered = pages.some((page, i) => i > 0 && numberOf(page) !== (numberOf(pages[i - 1]!) ?? 0) + 1);
  if (!scattered) return access;
  access.unpin(start, length);
  return fail(-errno.EFAULT);
}

const numberOf = (page: Folio | number): number | undefined => (page instanceof Folio ? page.pfn : undefined);

function dropAccess(access: InKernelAccess): void {
  access.users--;
  access.context.objects.remove(access);
}
