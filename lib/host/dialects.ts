/**
 * The four conversion ABIs as data: how each is recognised and what its creation flags mean.
 * Bit 1 means "starts private" in one and "starts shared" in the others, so no flag is ever passed through untranslated.
 */

import { errno } from '../abi/errno.ts';
import {
  GUEST_MEMFD_FLAG_INIT_PRIVATE,
  GUEST_MEMFD_FLAG_INIT_SHARED,
  GUEST_MEMFD_FLAG_MMAP,
  GUEST_MEMFD_FLAG_SUPPORT_SHARED,
  KVM_GMEM_CONVERT_PRIVATE,
  KVM_GMEM_CONVERT_SHARED,
  KVM_SET_MEMORY_ATTRIBUTES2,
} from '../abi/guest-memfd.ts';
import { type HugePageSize, hugePageFlags } from '../abi/huge-pages.ts';
import type { Dialect, Ioctl } from '../abi/ioctl.ts';
import { KVM_MEMORY_ATTRIBUTE_PRIVATE, KVM_SET_MEMORY_ATTRIBUTES } from '../abi/kvm.ts';
import { PAGE_SIZE } from '../abi/linux.ts';

export const dialectNames: readonly Dialect[] = ['rfc-convert', 'attributes2', 'vm-attributes', 'none'];

export type InitialState = 'private' | 'shared';

/** A request and its arguments, for prepareIoctl(). */
export interface ConversionCall {
  readonly ioctl: Ioctl;
  readonly args: Readonly<Record<string, bigint>>;
}

/** How a dialect converts, and how to find out that a kernel speaks it. */
export interface Conversion {
  /** Which fd is asked; on a VM's the range is one of guest-physical addresses, not of the file. */
  readonly on: 'guest-memfd' | 'vm';
  call(start: bigint, size: bigint, to: InitialState): ConversionCall;
  /** Whether this is how the dialect answers a conversion of nothing, which has no side effect. */
  recognises(ret: number): boolean;
}

/** Both attribute ioctls refuse a size of 0, and every request unknown to a file is ENOTTY. */
const refusesNothing = (ret: number): boolean => ret === -errno.EINVAL;
const attributes = (to: InitialState): bigint => (to === 'private' ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0n);

/** In the order of probing: a kernel with in-place conversion may still have the VM ioctl, which then refuses. */
export const conversions: Readonly<Record<Exclude<Dialect, 'none'>, Conversion>> = {
  'rfc-convert': {
    on: 'guest-memfd',
    call: (offset, size, to) => ({
      ioctl: to === 'private' ? KVM_GMEM_CONVERT_PRIVATE : KVM_GMEM_CONVERT_SHARED,
      args: { offset, size },
    }),
    // Patch 04/51: size 0 is answered with 0 before offset and size are looked at.
    recognises: (ret) => ret === 0,
  },
  attributes2: {
    on: 'guest-memfd',
    call: (offset, size, to) => ({
      ioctl: KVM_SET_MEMORY_ATTRIBUTES2,
      args: { offset, size, attributes: attributes(to) },
    }),
    recognises: refusesNothing,
  },
  'vm-attributes': {
    on: 'vm',
    call: (address, size, to) => ({
      ioctl: KVM_SET_MEMORY_ATTRIBUTES,
      args: { address, size, attributes: attributes(to) },
    }),
    recognises: refusesNothing,
  },
};

/** A creation flag, and how to ask a kernel whether it knows it. */
export interface FlagProbe {
  readonly name: string;
  readonly bit: bigint;
  /** What has to be passed along with it to be accepted. */
  readonly with: bigint;
  /** The smallest file it can be tried on. */
  readonly size: bigint;
}

/** How a file is asked for: the flags of each combination of (mmap, initially); `undefined` cannot be expressed. */
export interface FlagRules {
  readonly flags: Readonly<Record<`${'mapped' | 'unmapped'} ${InitialState}`, bigint | undefined>>;
  readonly probes: readonly FlagProbe[];
  /** The flags that ask for huge pages; left out where a guest_memfd never has any. */
  hugePages?(size: HugePageSize): bigint;
  /** What the flags of an existing file mean. */
  initially(flags: bigint): InitialState;
  /** Whether a conversion of such a file has an effect. */
  convertible(flags: bigint): boolean;
}

const PAGE = BigInt(PAGE_SIZE);

/** RFC v2, patches 02 and 41. Sharing and mapping are one flag there, and files start shared. */
const RFC_FLAGS: FlagRules = {
  flags: {
    'mapped private': GUEST_MEMFD_FLAG_SUPPORT_SHARED | GUEST_MEMFD_FLAG_INIT_PRIVATE,
    'mapped shared': GUEST_MEMFD_FLAG_SUPPORT_SHARED,
    'unmapped private': 0n,
    'unmapped shared': undefined,
  },
  probes: [
    { name: 'GUEST_MEMFD_FLAG_SUPPORT_SHARED', bit: GUEST_MEMFD_FLAG_SUPPORT_SHARED, with: 0n, size: PAGE },
    {
      name: 'GUEST_MEMFD_FLAG_INIT_PRIVATE',
      bit: GUEST_MEMFD_FLAG_INIT_PRIVATE,
      with: GUEST_MEMFD_FLAG_SUPPORT_SHARED,
      size: PAGE,
    },
  ],
  hugePages: hugePageFlags,
  initially: (flags) =>
    (flags & (GUEST_MEMFD_FLAG_SUPPORT_SHARED | GUEST_MEMFD_FLAG_INIT_PRIVATE)) === GUEST_MEMFD_FLAG_SUPPORT_SHARED
      ? 'shared'
      : 'private',
  // Without SUPPORT_SHARED the ioctl answers 0, and neither the guest nor the host sees a difference.
  convertible: (flags) => (flags & GUEST_MEMFD_FLAG_SUPPORT_SHARED) !== 0n,
};

/** Linux 6.18 and later (kvm_gmem_get_supported_flags()), and v13 of the in-place series, which kept them. */
const RELEASED_FLAGS: FlagRules = {
  flags: {
    'mapped private': GUEST_MEMFD_FLAG_MMAP,
    'mapped shared': GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED,
    'unmapped private': 0n,
    'unmapped shared': GUEST_MEMFD_FLAG_INIT_SHARED,
  },
  probes: [
    { name: 'GUEST_MEMFD_FLAG_MMAP', bit: GUEST_MEMFD_FLAG_MMAP, with: 0n, size: PAGE },
    { name: 'GUEST_MEMFD_FLAG_INIT_SHARED', bit: GUEST_MEMFD_FLAG_INIT_SHARED, with: 0n, size: PAGE },
  ],
  initially: (flags) => ((flags & GUEST_MEMFD_FLAG_INIT_SHARED) !== 0n ? 'shared' : 'private'),
  convertible: () => true,
};

export const flagRules: Readonly<Record<Dialect, FlagRules>> = {
  'rfc-convert': RFC_FLAGS,
  attributes2: RELEASED_FLAGS,
  'vm-attributes': RELEASED_FLAGS,
  none: RELEASED_FLAGS,
};
