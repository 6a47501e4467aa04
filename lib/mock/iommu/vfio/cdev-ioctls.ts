/** What only a device's own node answers: drivers/vfio/device_cdev.c. */

import { errno } from '../../../abi/errno.ts';
import {
  VFIO_DEVICE_ATTACH_IOMMUFD_PT,
  VFIO_DEVICE_ATTACH_PASID,
  VFIO_DEVICE_BIND_FLAG_TOKEN,
  VFIO_DEVICE_BIND_IOMMUFD,
  VFIO_DEVICE_DETACH_IOMMUFD_PT,
  VFIO_DEVICE_DETACH_PASID,
} from '../../../abi/vfio-device.ts';
import type { UserMemory } from '../../process/index.ts';
import type { IommuHost } from '../host.ts';
import { IommufdFile } from '../iommufd/iommufd-file.ts';
import { ArgsizedDispatcher, type Call } from './argsized-dispatch.ts';
import type { VfioDevice } from './vfio-device.ts';

export { VFIO_DEVICE_BIND_IOMMUFD };

/** A device's file, as far as these requests need it. */
interface CdevFile {
  readonly host: IommuHost;
  readonly device: VfioDevice;
  readonly throughGroup: boolean;
  granted: boolean;
}

const binder = new ArgsizedDispatcher<CdevFile>().on(VFIO_DEVICE_BIND_IOMMUFD, bind, { strict: true });

export const bindIommufd = (file: CdevFile, user: UserMemory): number =>
  binder.run(file, VFIO_DEVICE_BIND_IOMMUFD.request, user, 0);

function bind(file: CdevFile, { args, writeBack }: Call<typeof VFIO_DEVICE_BIND_IOMMUFD>): number {
  if (args.iommufd < 0 || args.flags & ~VFIO_DEVICE_BIND_FLAG_TOKEN || file.throughGroup) return -errno.EINVAL;
  const { device } = file;
  const { group } = device;
  if (group.opened) return -errno.EBUSY;
  if (file.granted) return -errno.EINVAL;
  // Only virtual functions have tokens.
  if (args.flags & VFIO_DEVICE_BIND_FLAG_TOKEN) return -errno.EINVAL;
  const iommufd = file.host.fds.get(args.iommufd);
  if (!iommufd) return -errno.EBADF;
  if (!(iommufd instanceof IommufdFile)) return -errno.EBADFD;
  const error = device.openWith(iommufd.context, false);
  if (error !== 0) return error;
  const told = writeBack({ ...args, out_devid: device.bound?.id ?? 0 });
  if (told !== 0) {
    device.close();
    return told;
  }
  device.cdevOpened = true;
  file.granted = true;
  group.cdevOpens++;
  return 0;
}

function attach({ device }: CdevFile, { args, writeBack }: Call<typeof VFIO_DEVICE_ATTACH_IOMMUFD_PT>): number {
  if (args.flags & ~VFIO_DEVICE_ATTACH_PASID) return -errno.EINVAL;
  const withPasid = (args.flags & VFIO_DEVICE_ATTACH_PASID) !== 0;
  if (withPasid && args.argsz < VFIO_DEVICE_ATTACH_IOMMUFD_PT.struct.size) return -errno.EINVAL;
  const hwpt = withPasid ? device.attachPasid(args.pasid, args.pt_id) : device.attach(args.pt_id);
  if (hwpt < 0) return hwpt;
  const error = writeBack({ ...args, pt_id: hwpt });
  if (error !== 0) device.detach();
  return error;
}

function detach({ device }: CdevFile, { args }: Call<typeof VFIO_DEVICE_DETACH_IOMMUFD_PT>): number {
  if (args.flags & ~VFIO_DEVICE_DETACH_PASID) return -errno.EINVAL;
  if (!(args.flags & VFIO_DEVICE_DETACH_PASID)) device.detach();
  else if (args.argsz < VFIO_DEVICE_DETACH_IOMMUFD_PT.struct.size) return -errno.EINVAL;
  else device.detachPasid(args.pasid);
  return 0;
}

export const cdevDispatcher = new ArgsizedDispatcher<CdevFile>()
  .on(VFIO_DEVICE_ATTACH_IOMMUFD_PT, attach)
  .on(VFIO_DEVICE_DETACH_IOMMUFD_PT, detach);
