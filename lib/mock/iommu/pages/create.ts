/** The memory that a request names, by its address or by its file. */

import { errno } from '../../../abi/errno.ts';
import { U64_MAX } from '../../../abi/invalid.ts';
import { PAGE_SIZE } from '../../../abi/linux.ts';
import { InodePages, type Shareability } from '../../guest-memfd/index.ts';
import type { IommuHost } from '../host.ts';
import { DmaBufFile, DmaBufPages } from './dma-buf.ts';
import { FilePages } from './file-pages.ts';
import { GuestMemfdPages } from './guest-memfd-pages.ts';
import type { Pages } from './pages.ts';
import { UserPages } from './user-pages.ts';

const PAGE = BigInt(PAGE_SIZE);

interface Owner {
  readonly host: IommuHost;
  readonly accountPerProcess: boolean;
}

/** What of it must hold whoever it belongs to: iopt_alloc_pages(). */
const isTooLong = (length: bigint): boolean => length === 0n || length > U64_MAX - PAGE;

/** iopt_alloc_user_pages() */
export function userPages(
  { host, accountPerProcess }: Owner,
  address: bigint,
  length: bigint,
  write: boolean,
): Pages | number {
  if (address + length > U64_MAX) return -errno.EOVERFLOW;
  if (isTooLong(length)) return -errno.EINVAL;
  const { locked, memory, addressSpace: space } = host;
  return new UserPages({
    end: (address % PAGE) + length,
    writable: write,
    locked,
    mode: locked.mode(accountPerProcess),
    space,
    memory,
    address: address - (address % PAGE),
  });
}

interface FileRequest {
  readonly fd: number;
  readonly start: bigint;
  readonly length: bigint;
  readonly write: boolean;
  /** Of a guest_memfd: which of its pages may be mapped. */
  readonly side: Shareability;
}

/** iopt_map_file_pages(): a dma-buf, or else whatever the file is. */
export function filePages(
  { host, accountPerProcess }: Owner,
  { fd, start, length, write, side }: FileRequest,
): Pages | number {
  const file = fd < 0 ? undefined : host.fds.get(fd);
  if (!file) return -errno.EBADF;
  if (isTooLong(length)) return -errno.EINVAL;
  const { locked, memory, policy } = host;
  const first = start - (start % PAGE);
  const options = { end: start - first + length, writable: write, locked, memory, start: first };
  if (file instanceof DmaBufFile) {
    if (start + length > BigInt(file.length)) return -errno.EINVAL;
    return file.isRevoked ? -errno.ENODEV : new DmaBufPages({ ...options, mode: 'none', file });
  }
  const mode = locked.mode(accountPerProcess);
  const { owner } = file;
  if (owner instanceof InodePages && policy !== 'pin') {
    return new GuestMemfdPages({ ...options, mode, file, owner, policy, side });
  }
  return new FilePages({ ...options, mode, file });
}
