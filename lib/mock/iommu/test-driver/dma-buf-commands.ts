/** The test driver's dma-bufs. */

import { errno } from '../../../abi/errno.ts';
import type { IoctlOut } from '../../../abi/ioctl.ts';
import type { iommuTest } from '../../../abi/iommufd-test.ts';
import { PAGE_SIZE } from '../../../abi/linux.ts';
import type { IommufdContext } from '../iommufd/context.ts';
import { DmaBufFile } from '../pages/dma-buf.ts';

type Args<Name extends 'DMABUF_GET' | 'DMABUF_REVOKE'> = IoctlOut<(typeof iommuTest)[Name]>;

const MAX_PAGES = 512;

/** Answers 0, and not the fd that it made: a defect of 7.3 that callers have to live with. */
export function dmaBufGet({ host }: IommufdContext, { dmabuf_get: { length } }: Args<'DMABUF_GET'>): number {
  const pages = Math.ceil(length / PAGE_SIZE);
  if (pages === 0 || pages > MAX_PAGES) return -errno.EINVAL;
  return Math.min(0, host.fds.install(new DmaBufFile(host.nextNumber(), pages * PAGE_SIZE)));
}

export function dmaBufRevoke({ host }: IommufdContext, { dmabuf_revoke }: Args<'DMABUF_REVOKE'>): number {
  const file = dmabuf_revoke.dmabuf_fd < 0 ? undefined : host.fds.get(dmabuf_revoke.dmabuf_fd);
  if (!file) return -errno.EBADF;
  if (!(file instanceof DmaBufFile)) return -errno.EINVAL;
  file.revoke(dmabuf_revoke.revoked !== 0);
  return 0;
}
