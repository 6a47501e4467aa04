/** The ioctls of a guest_memfd: what is checked, in which order, and what is written back. */

import { errno } from '../../abi/errno.ts';
import {
  KVM_GMEM_CONVERT_PRIVATE,
  KVM_GMEM_CONVERT_SHARED,
  KVM_SET_MEMORY_ATTRIBUTES2,
} from '../../abi/guest-memfd.ts';
import { KVM_MEMORY_ATTRIBUTE_PRIVATE } from '../../abi/kvm.ts';
import {
  convertDifferingRanges,
  convertWholeRange,
  type GuestMemfdInode,
  type Shareability,
} from '../guest-memfd/index.ts';
import type { Profile } from '../profile.ts';
import { isAligned, toBytes, toPages, wraps } from '../ranges.ts';
import { type Argument, Dispatcher, type WriteBack } from './dispatch.ts';

/** A guest_memfd, as far as its ioctls need it. */
export interface ConvertibleFile {
  readonly inode: GuestMemfdInode;
  readonly vm: { readonly hasPrivateMemory: boolean };
}

type Convert = typeof KVM_GMEM_CONVERT_SHARED;
type Attributes2 = typeof KVM_SET_MEMORY_ATTRIBUTES2;

/**
 * What the RFC leaves in error_offset after an error that is not EAGAIN: whatever was on the kernel's stack, shifted
 * to look like an offset. Callers must not read it; this value is not 0, so that one which does is noticed.
 */
const STACK_GARBAGE = 0x5a5a_5a5a_5000n;

/** RFC v2, patch 04/51. Neither the reserved words nor SUPPORT_SHARED, bindings or a dead VM are looked at. */
function gmemConvert(to: Shareability) {
  return (file: ConvertibleFile, args: Argument<Convert>, writeBack: WriteBack<Convert>): number => {
    const fail = (result: number, error_offset = args.error_offset): number =>
      writeBack({ ...args, error_offset }) || result;
    const { offset, size } = args;
    if (args.error_offset !== 0n) return fail(-errno.EINVAL);
    if (size === 0n) return 0;
    if (wraps(offset, size) || offset > file.inode.size || offset + size > file.inode.size) return fail(-errno.EINVAL);
    if (!isAligned(offset) || !isAligned(size)) return fail(-errno.EINVAL);
    const range = { start: toPages(offset), end: toPages(offset + size) };
    const { result, heldPage } = file.inode.change(range, () => convertDifferingRanges(file.inode, range, to));
    if (result === 0) return 0;
    return fail(result, heldPage === undefined ? STACK_GARBAGE : toBytes(heldPage));
  };
}

/** In-place conversion v13. The struct is written back only where the range was refused for memory or references. */
function setMemoryAttributes2(
  file: ConvertibleFile,
  args: Argument<Attributes2>,
  writeBack: WriteBack<Attributes2>,
): number {
  const { offset, size, attributes, flags, reserved } = args;
  if (flags !== 0n || reserved.some((word) => word !== 0n)) return -errno.EINVAL;
  if (!file.vm.hasPrivateMemory) return -errno.EINVAL;
  if (attributes & ~KVM_MEMORY_ATTRIBUTE_PRIVATE) return -errno.EINVAL;
  if (size === 0n || wraps(offset, size)) return -errno.EINVAL;
  if (!isAligned(offset) || !isAligned(size)) return -errno.EINVAL;
  if (offset >= file.inode.size || offset + size > file.inode.size) return -errno.EINVAL;
  const range = { start: toPages(offset), end: toPages(offset + size) };
  const to = attributes === KVM_MEMORY_ATTRIBUTE_PRIVATE ? 'private' : 'shared';
  const { result, heldPage } = file.inode.change(range, () => convertWholeRange(file.inode, range, to));
  if (result === 0) return 0;
  const error_offset = heldPage === undefined ? offset : toBytes(heldPage);
  return writeBack({ ...args, error_offset }) || result;
}

const dispatchers: Readonly<Record<Profile['conversion'], Dispatcher<ConvertibleFile>>> = {
  none: new Dispatcher<ConvertibleFile>(),
  'rfc-convert': new Dispatcher<ConvertibleFile>()
    .on(KVM_GMEM_CONVERT_SHARED, gmemConvert('shared'))
    .on(KVM_GMEM_CONVERT_PRIVATE, gmemConvert('private')),
  attributes2: new Dispatcher<ConvertibleFile>().on(KVM_SET_MEMORY_ATTRIBUTES2, setMemoryAttributes2),
};

export const guestMemfdIoctls = (profile: Profile): Dispatcher<ConvertibleFile> => dispatchers[profile.conversion];
