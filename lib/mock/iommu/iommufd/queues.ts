/** IOMMU_FAULT_QUEUE_ALLOC and IOMMU_VEVENTQ_ALLOC: an object and an fd at once. */

import { errno } from '../../../abi/errno.ts';
import type { IoctlOut } from '../../../abi/ioctl.ts';
import type { IOMMU_FAULT_QUEUE_ALLOC, IOMMU_VEVENTQ_ALLOC } from '../../../abi/iommufd.ts';
import type { IommufdContext } from './context.ts';
import { type EventQueue, EventQueueFile } from './event-file.ts';
import { VirtualEventQueue } from './event-queue.ts';
import { FaultQueue } from './fault-queue.ts';
import type { IommufdObject } from './objects.ts';
import type { Reply } from './sized-dispatch.ts';
import { Viommu } from './viommu.ts';

type Fault = typeof IOMMU_FAULT_QUEUE_ALLOC;

export function faultQueueAlloc(context: IommufdContext, args: IoctlOut<Fault>, reply: Reply<Fault>): number {
  if (args.flags !== 0) return -errno.EOPNOTSUPP;
  return withFd(context, new FaultQueue(), (queue, fd) => reply({ ...args, out_fault_id: queue.id, out_fault_fd: fd }));
}

const MAX_DEPTH = 1 << 19;

type Events = typeof IOMMU_VEVENTQ_ALLOC;

export function veventqAlloc(context: IommufdContext, args: IoctlOut<Events>, reply: Reply<Events>): number {
  if (args.flags !== 0 || args.__reserved !== 0 || args.type === 0) return -errno.EOPNOTSUPP;
  if (args.veventq_depth === 0 || args.veventq_depth > MAX_DEPTH) return -errno.EINVAL;
  const viommu = context.objects.find(args.viommu_id, Viommu);
  if (!viommu) return -errno.ENOENT;
  if (viommu.eventQueues.has(args.type)) return -errno.EEXIST;
  return withFd(context, new VirtualEventQueue(viommu, args.type, args.veventq_depth), (queue, fd) =>
    reply({ ...args, out_veventq_id: queue.id, out_veventq_fd: fd }),
  );
}

/** Publishes a queue with its fd, if the caller can be told of them. */
function withFd<T extends IommufdObject & EventQueue>(
  context: IommufdContext,
  queue: T,
  tell: (queue: T, fd: number) => number,
): number {
  const { objects, host } = context;
  objects.reserve(queue);
  const fd = host.fds.install(new EventQueueFile(queue, context));
  const error = fd < 0 ? fd : tell(queue, fd);
  if (error === 0) {
    objects.publish(queue);
    return 0;
  }
  if (fd >= 0) host.fds.close(fd);
  objects.free(queue);
  queue.destroy();
  return error;
}
