/** Opening /dev/iommu. */

import { errno } from '../abi/errno.ts';
import { O_CLOEXEC, O_RDWR } from '../abi/linux.ts';
import { type Context, failure, type Result, success } from '../host/index.ts';
import { Iommufd } from './iommufd.ts';

const PATH = '/dev/iommu';

export async function tryIommufd(context: Context): Promise<Result<Iommufd>> {
  return await context.handle.use(async () => {
    const fd = await context.syscalls.open(PATH, O_RDWR | O_CLOEXEC);
    if (fd >= 0) return success(new Iommufd(context, context.own('Iommufd', fd)));
    const missing = fd === -errno.ENOENT || fd === -errno.ENODEV || fd === -errno.ENXIO;
    const hint = missing ? 'modprobe iommufd; the kernel needs CONFIG_IOMMUFD, which Debian leaves out' : undefined;
    return failure({ syscall: 'open', args: { path: PATH }, ...(hint && { hint }) }, fd);
  });
}
