/** What the VFS checks before it asks the file: each answers 0 or -errno. */

import { errno } from '../../abi/errno.ts';
import { I64_MAX } from '../../abi/invalid.ts';
import {
  FALLOC_FL_COLLAPSE_RANGE,
  FALLOC_FL_INSERT_RANGE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_UNSHARE_RANGE,
  FALLOC_FL_WRITE_ZEROES,
  FALLOC_FL_ZERO_RANGE,
  S_IFMT,
  S_IFREG,
} from '../../abi/linux.ts';
import type { MockFile } from './file.ts';

/** With FALLOC_FL_KEEP_SIZE: whether a mode must have it, may have it or must not. Modes exclude each other. */
const FALLOC_MODES: ReadonlyMap<number, 'must' | 'may' | 'must not'> = new Map([
  [0, 'may'],
  [FALLOC_FL_UNSHARE_RANGE, 'may'],
  [FALLOC_FL_ZERO_RANGE, 'may'],
  [FALLOC_FL_PUNCH_HOLE, 'must'],
  [FALLOC_FL_COLLAPSE_RANGE, 'must not'],
  [FALLOC_FL_INSERT_RANGE, 'must not'],
  [FALLOC_FL_WRITE_ZEROES, 'must not'],
]);

/** fs/open.c, vfs_fallocate(). */
export function refusesFallocate(file: MockFile, mode: number, offset: bigint, length: bigint): number {
  if (offset < 0n || length <= 0n) return -errno.EINVAL;
  const keepSize = FALLOC_MODES.get(mode & ~FALLOC_FL_KEEP_SIZE);
  const wrong = (mode & FALLOC_FL_KEEP_SIZE) === 0 ? 'must' : 'must not';
  if (keepSize === undefined || keepSize === wrong) return -errno.EOPNOTSUPP;
  if ((file.stat().mode & S_IFMT) !== S_IFREG) return -errno.ENODEV;
  return offset + length > I64_MAX ? -errno.EFBIG : 0;
}

/** fs/read_write.c, ksys_pread64() and ksys_pwrite64(). */
export function refusesPositioned(file: MockFile, offset: bigint): number {
  if (offset < 0n) return -errno.EINVAL;
  return file.hasPositions ? 0 : -errno.ESPIPE;
}
