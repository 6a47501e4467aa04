/**
 * What is issued on a guest_memfd itself, and the flags it is created with.
 * Two families exist and neither is in a release before 7.4; `host/` finds out by probing which of them a kernel speaks.
 */

import { iowr } from './ioctl.ts';
import { KVMIO } from './kvm.ts';
import { array, struct, u64 } from './struct.ts';

/** Not KVMIO. vhost uses the same type and numbers; only the direction and size differ. */
export const KVM_GMEM_IO = 0xaf;

const kvm_gmem_convert = struct('kvm_gmem_convert', {
  offset: u64,
  size: u64,
  /** Must be zero on entry; on EAGAIN the file offset of the first page that is still referenced. */
  error_offset: u64,
  reserved: array(u64, 5),
});

/** "1G page support for guest_memfd", RFC v2, patch 04/51 (May 2025). */
export const KVM_GMEM_CONVERT_SHARED = iowr('guest-memfd', KVM_GMEM_IO, 0x41, kvm_gmem_convert, {
  capability: 'KVM_CAP_GMEM_CONVERSION',
  dialect: 'rfc-convert',
});
export const KVM_GMEM_CONVERT_PRIVATE = iowr('guest-memfd', KVM_GMEM_IO, 0x42, kvm_gmem_convert, {
  capability: 'KVM_CAP_GMEM_CONVERSION',
  dialect: 'rfc-convert',
});

/** "guest_memfd: In-place conversion support", v13 (September 2026). */
export const KVM_SET_MEMORY_ATTRIBUTES2 = iowr(
  'guest-memfd',
  KVMIO,
  0xd2,
  struct('kvm_memory_attributes2', {
    /** A byte offset in the file, not a guest-physical address; the kernel's union names it `address` too. */
    offset: u64,
    size: u64,
    attributes: u64,
    flags: u64,
    /** Written on EAGAIN and ENOMEM only; ignored on entry. */
    error_offset: u64,
    reserved: array(u64, 11),
  }),
  { capability: 'KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES', since: '7.4', dialect: 'attributes2' },
);

/** Creation flags of released kernels (6.18 and later) and of the `attributes2` dialect. */
export const GUEST_MEMFD_FLAG_MMAP = 1n << 0n;
export const GUEST_MEMFD_FLAG_INIT_SHARED = 1n << 1n;

/** Creation flags of the `rfc-convert` dialect: the same bits, and bit 1 means the opposite. */
export const GUEST_MEMFD_FLAG_SUPPORT_SHARED = 1n << 0n;
export const GUEST_MEMFD_FLAG_INIT_PRIVATE = 1n << 1n;
export const GUEST_MEMFD_FLAG_HUGETLB = 1n << 2n;
/** Where log2 of the huge page size stands in the flags; six bits wide. */
export const GUESTMEM_HUGETLB_FLAG_SHIFT = 58n;
export const GUESTMEM_HUGETLB_FLAG_MASK = 0x3fn << GUESTMEM_HUGETLB_FLAG_SHIFT;
