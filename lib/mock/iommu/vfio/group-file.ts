/** /dev/vfio/N: drivers/vfio/group.c. */

import { errno } from '../../../abi/errno.ts';
import { PAGE_SIZE, S_IFCHR } from '../../../abi/linux.ts';
import {
  VFIO_GROUP_FLAGS_CONTAINER_SET,
  VFIO_GROUP_FLAGS_VIABLE,
  VFIO_GROUP_GET_DEVICE_FD,
  VFIO_GROUP_GET_STATUS,
  VFIO_GROUP_SET_CONTAINER,
  VFIO_GROUP_UNSET_CONTAINER,
} from '../../../abi/vfio.ts';
import type { Stat } from '../../../syscalls/seam.ts';
import { MockFile, type UserMemory } from '../../process/index.ts';
import type { IommuHost } from '../host.ts';
import { IommufdFile } from '../iommufd/iommufd-file.ts';
import { ArgsizedDispatcher, type Call } from './argsized-dispatch.ts';
import { ContainerFile } from './container-file.ts';
import { VfioDeviceFile } from './device-file.ts';
import type { VfioGroup } from './group.ts';

export class VfioGroupFile extends MockFile {
  readonly host: IommuHost;
  readonly group: VfioGroup;

  constructor(host: IommuHost, group: VfioGroup) {
    super();
    this.host = host;
    this.group = group;
    group.opened = true;
  }

  override ioctl(request: number, user: UserMemory): number {
    return dispatcher.run(this, request, user, -errno.ENOTTY);
  }

  override get isVfio(): boolean {
    return true;
  }

  override get hasPositions(): boolean {
    return true;
  }

  stat(): Stat {
    return { ino: 6n, mode: S_IFCHR | 0o600, nlink: 1, size: 0n, blksize: PAGE_SIZE, blocks: 0n };
  }

  protected override release(): void {
    leaveContainer(this.group);
    this.group.opened = false;
  }
}

function getStatus({ group }: VfioGroupFile, { args, writeBack }: Call<typeof VFIO_GROUP_GET_STATUS>): number {
  let flags = group.group.isOwned ? 0 : VFIO_GROUP_FLAGS_VIABLE;
  if (group.hasIommu) flags = VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET;
  return writeBack({ ...args, flags });
}

function setContainer({ host, group }: VfioGroupFile, user: UserMemory): number {
  const bytes = user.read(4);
  if (!bytes) return -errno.EFAULT;
  const fd = new DataView(bytes.buffer, bytes.byteOffset, 4).getInt32(0, true);
  const file = fd < 0 ? undefined : host.fds.get(fd);
  if (!file) return -errno.EBADF;
  if (group.hasIommu) return -errno.EINVAL;
  if (file instanceof ContainerFile) return file.container.attachGroup(group);
  if (!(file instanceof IommufdFile)) return -errno.EBADFD;
  const { context } = file;
  // What its requests mean from now on, unless user space has chosen another.
  context.vfioIoas ??= context.objects.publish(context.newIoas());
  context.file.get();
  group.iommufd = context;
  return 0;
}

function unsetContainer({ group }: VfioGroupFile): number {
  if (!group.hasIommu) return -errno.EINVAL;
  if (group.containerUsers > 1) return -errno.EBUSY;
  leaveContainer(group);
  return 0;
}

function leaveContainer(group: VfioGroup): void {
  group.container?.detachGroup(group);
  group.iommufd?.file.put();
  group.iommufd = undefined;
}

function getDeviceFd(file: VfioGroupFile, user: UserMemory): number {
  const name = readName(user);
  if (name === undefined) return -errno.EFAULT;
  const { host, group } = file;
  const device = [...group.devices].find(({ pci }) => pci.address === name);
  if (!device) return -errno.ENODEV;
  if (!group.hasIommu || host.fds.isFull) return host.fds.isFull ? -errno.EMFILE : -errno.EINVAL;
  if (group.container) {
    const translate = group.container.translate;
    if (!translate) return -errno.EINVAL;
    device.openInContainer(translate);
    group.containerUsers++;
    file.get();
    const onRelease = (): void => {
      group.containerUsers--;
      file.put();
    };
    return host.fds.install(new VfioDeviceFile(host, device, { throughGroup: true, onRelease }));
  }
  const opened = openWithIommufd(group, device);
  return opened === 0 ? host.fds.install(new VfioDeviceFile(host, device, { throughGroup: true })) : opened;
}

/** Bound and attached at once, since the old interface has no words for it. */
function openWithIommufd(
  { iommufd }: VfioGroup,
  device: VfioGroup['devices'] extends Set<infer D> ? D : never,
): number {
  const error = iommufd ? device.openWith(iommufd, true) : -errno.EINVAL;
  if (error !== 0 || device.opens > 1) return error;
  const attached = iommufd?.vfioIoas ? device.attach(iommufd.vfioIoas.id) : -errno.ENODEV;
  if (attached >= 0) return 0;
  device.close();
  return attached;
}

const LONGEST_NAME = 256;

/** strndup_user() */
function readName(user: UserMemory): string | undefined {
  for (let length = LONGEST_NAME; length > 0; length--) {
    const bytes = user.read(length);
    const end = bytes?.indexOf(0) ?? -1;
    if (bytes && end >= 0) return new TextDecoder().decode(bytes.subarray(0, end));
  }
  return undefined;
}

const dispatcher = new ArgsizedDispatcher<VfioGroupFile>()
  .on(VFIO_GROUP_GET_STATUS, getStatus)
  .on(VFIO_GROUP_UNSET_CONTAINER, unsetContainer)
  .onRaw(VFIO_GROUP_SET_CONTAINER, setContainer)
  .onRaw(VFIO_GROUP_GET_DEVICE_FD, getDeviceFd);
