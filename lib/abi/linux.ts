/**
 * The constants of ordinary system calls that this package uses, by their C names.
 * The numbers are the same on x86-64, arm64 and riscv64. Source: include/uapi/asm-generic/ and include/uapi/linux/.
 */

import { array, i64, struct, u16, u32, u64 } from './struct.ts';

export const PAGE_SIZE = 4096;

export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_RDWR = 2;
export const O_CLOEXEC = 0o2000000;

export const PROT_NONE = 0;
export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const PROT_EXEC = 4;

export const MAP_SHARED = 0x01;
export const MAP_PRIVATE = 0x02;
export const MAP_SHARED_VALIDATE = 0x03;
export const MAP_TYPE = 0x0f;
export const MAP_FIXED = 0x10;
export const MAP_ANONYMOUS = 0x20;
export const MAP_POPULATE = 0x8000;
export const MAP_SYNC = 0x80000;
export const MAP_FIXED_NOREPLACE = 0x100000;

export const MADV_DONTNEED = 4;
export const MADV_POPULATE_READ = 22;
export const MADV_POPULATE_WRITE = 23;

export const FALLOC_FL_KEEP_SIZE = 0x01;
export const FALLOC_FL_PUNCH_HOLE = 0x02;
export const FALLOC_FL_COLLAPSE_RANGE = 0x08;
export const FALLOC_FL_ZERO_RANGE = 0x10;
export const FALLOC_FL_INSERT_RANGE = 0x20;
export const FALLOC_FL_UNSHARE_RANGE = 0x40;
export const FALLOC_FL_WRITE_ZEROES = 0x80;

export const EFD_SEMAPHORE = 0o1;
export const EFD_CLOEXEC = 0o2000000;
export const EFD_NONBLOCK = 0o4000;

export const MFD_CLOEXEC = 1;

export const F_SETFD = 2;
export const F_DUPFD_CLOEXEC = 1030;
export const FD_CLOEXEC = 1;

export const AT_EMPTY_PATH = 0x1000;
export const STATX_BASIC_STATS = 0x7ff;

export const S_IFMT = 0o170000;
export const S_IFREG = 0o100000;
export const S_IFCHR = 0o020000;

const statx_timestamp = struct('statx_timestamp', { tv_sec: i64, tv_nsec: u32, __reserved: u32 });

/** statx(2) is the stat whose layout no architecture changes. Source: include/uapi/linux/stat.h. */
export const statx = struct('statx', {
  stx_mask: u32,
  stx_blksize: u32,
  stx_attributes: u64,
  stx_nlink: u32,
  stx_uid: u32,
  stx_gid: u32,
  stx_mode: u16,
  __spare0: array(u16, 1),
  stx_ino: u64,
  stx_size: u64,
  stx_blocks: u64,
  stx_attributes_mask: u64,
  stx_atime: statx_timestamp,
  stx_btime: statx_timestamp,
  stx_ctime: statx_timestamp,
  stx_mtime: statx_timestamp,
  stx_rdev_major: u32,
  stx_rdev_minor: u32,
  stx_dev_major: u32,
  stx_dev_minor: u32,
  __spare3: array(u64, 14),
});
