/** What must hold of each call's arguments before it is made: one table for the two backends that call a kernel. */

import { checkBytes, checkInteger, tooSmall } from '../abi/invalid.ts';
import { requestSize } from '../abi/ioctl.ts';
import { claimedSize, isSizePrefixed } from '../abi/size-prefixed.ts';
import {
  checkFd,
  checkFlags,
  checkIoctlArg,
  checkLength,
  checkMany,
  checkMapFd,
  checkMapFlags,
  checkOffset,
  checkPointers,
  checkText,
  isAddress,
} from './arguments.ts';
import type { Mappings } from './mappings.ts';
import type { CallName, Calls } from './seam.ts';

/** Each takes a call's arguments and throws a TypeError or RangeError when the call must not be made. */
export type Checks = { readonly [Name in CallName]: (...args: Parameters<Calls[Name]>) => void };

/** `peek` copies out of a mapping, as copyOut does. */
export function createChecks(mappings: Mappings, peek: (address: bigint, bytes: Uint8Array) => number): Checks {
  const ioctl: Checks['ioctl'] = (fd, request, arg, pointers) => {
    checkFd(fd);
    checkIoctlArg(request, arg);
    checkPointers(request, arg, pointers);
    if (isAddress(arg)) checkStructInMemory(mappings, peek, request, arg.address);
  };
  const bytesOn: Checks['read'] = (fd, bytes) => {
    checkFd(fd);
    checkBytes('bytes', bytes);
  };
  const bytesAt: Checks['pread'] = (fd, bytes, offset) => {
    bytesOn(fd, bytes);
    checkOffset('offset', offset);
  };
  const copy: Checks['copyIn'] = (address, bytes) => {
    mappings.checkInside(address, checkBytes('bytes', bytes).byteLength);
  };
  return {
    ioctl,
    ioctlFd: ioctl,
    ioctlMany: (fd, request, args) => {
      checkFd(fd);
      checkMany(request, args);
    },
    open: (path, flags) => {
      checkText('path', path);
      checkFlags('flags', flags);
    },
    close: checkFd,
    dup: checkFd,
    memfdCreate: (name, flags) => {
      checkText('name', name);
      checkFlags('flags', flags);
    },
    eventfd: (initial, flags) => {
      checkInteger('initial', initial, 0, 0xffff_ffff);
      checkFlags('flags', flags);
    },
    fstat: checkFd,
    ftruncate: (fd, length) => {
      checkFd(fd);
      checkOffset('length', length);
    },
    fallocate: (fd, mode, offset, length) => {
      checkFd(fd);
      checkFlags('mode', mode);
      checkOffset('offset', offset);
      checkOffset('length', length);
    },
    read: bytesOn,
    write: bytesOn,
    pread: bytesAt,
    pwrite: bytesAt,
    mmap: (length, prot, flags, fd, offset) => {
      checkLength(length);
      checkFlags('prot', prot);
      checkMapFlags(flags);
      checkMapFd(fd);
      checkOffset('offset', offset);
    },
    munmap: (address, length) => mappings.checkWhole(address, length),
    madvise: (address, length, advice) => {
      mappings.checkInside(address, length);
      checkFlags('advice', advice);
    },
    copyIn: copy,
    copyOut: copy,
  };
}

/** What checkIoctlArg does for a buffer, for a struct in mapped memory. What is not there cannot be checked, or used. */
function checkStructInMemory(
  mappings: Mappings,
  peek: (address: bigint, bytes: Uint8Array) => number,
  request: number,
  address: bigint,
): void {
  const room = mappings.checkInside(address, requestSize(request));
  if (!isSizePrefixed(request)) return;
  const head = new Uint8Array(4);
  if (peek(address, head) !== head.byteLength) return;
  const claimed = claimedSize(request, head);
  if (claimed > room) throw tooSmall('the mapping from arg.address on', claimed, room);
}
