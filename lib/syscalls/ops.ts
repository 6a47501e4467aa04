/**
 * What the addon is handed for each call, and what becomes of its answer. The arguments have been checked, which lets
 * exact numbers pass for offsets.
 */

import type { Addon } from './addon.ts';
import { isAddress } from './arguments.ts';
import type { Lanes } from './lanes.ts';
import type { Mappings } from './mappings.ts';
import { ARGUMENT_IS_ADDRESS, type LaneKey, MEMORY_LANE, type Memory, NO_LANE, Op } from './op.ts';
import { CALL_NAMES, type CallName, type Calls } from './seam.ts';
import { cString, decodeStat, STAT_BYTES } from './stat.ts';

export type Ops = { readonly [Name in CallName]: (...args: Parameters<Calls[Name]>) => Op };

type Parts = Partial<Pick<Op, 'request' | 'flags' | 'number' | 'offset' | 'length' | 'buffer' | 'finish' | 'begin'>>;

export function createOps(addon: Addon, lanes: Lanes, mappings: Mappings): Ops {
  const codes = Object.fromEntries(CALL_NAMES.map((name) => [name, addon.calls.indexOf(name)]));
  const op = (name: CallName, lane: LaneKey, fd: number, parts: Parts): Op =>
    Object.assign(new Op(codes[name] as number, lane, fd), parts);
  const onFd = (name: CallName, fd: number, parts: Parts): Op => op(name, fd, fd, parts);
  const onNothing = (name: CallName, parts: Parts): Op => op(name, NO_LANE, -1, parts);
  const onMemory = (name: CallName, address: bigint, parts: Parts): Op =>
    op(name, MEMORY_LANE, -1, { offset: address, ...parts });
  const newFd = (result: number): number => {
    if (result >= 0) lanes.forget(result);
    return result;
  };

  return {
    ioctl: ioctlOp(codes['ioctl'] as number, undefined),
    ioctlFd: ioctlOp(codes['ioctlFd'] as number, newFd),
    ioctlMany: (fd, request, args) =>
      onFd('ioctlMany', fd, {
        request,
        buffer: args,
        finish: (result, completed) => ({ completed, result }),
      }),
    open: (path, flags) => onNothing('open', { flags, buffer: cString(path), finish: newFd }),
    close: (fd) => onFd('close', fd, {}),
    dup: (fd) => onFd('dup', fd, { finish: newFd }),
    memfdCreate: (name, flags) => onNothing('memfdCreate', { flags, buffer: cString(name), finish: newFd }),
    eventfd: (initial, flags) => onNothing('eventfd', { request: initial, flags, finish: newFd }),
    fstat: (fd) => {
      const buffer = new Uint8Array(STAT_BYTES);
      return onFd('fstat', fd, { buffer, finish: (result) => (result < 0 ? result : decodeStat(buffer)) });
    },
    ftruncate: (fd, length) => onFd('ftruncate', fd, { length: BigInt(length) }),
    fallocate: (fd, mode, offset, length) =>
      onFd('fallocate', fd, { flags: mode, offset: BigInt(offset), length: BigInt(length) }),
    read: (fd, buffer) => onFd('read', fd, { buffer }),
    write: (fd, buffer) => onFd('write', fd, { buffer }),
    pread: (fd, buffer, offset) => onFd('pread', fd, { buffer, offset: BigInt(offset) }),
    pwrite: (fd, buffer, offset) => onFd('pwrite', fd, { buffer, offset: BigInt(offset) }),
    mmap: (length, prot, flags, fd, offset) =>
      op('mmap', fd < 0 ? NO_LANE : fd, fd, {
        request: prot,
        flags,
        number: length,
        offset: BigInt(offset),
        finish: (result) => {
          const address = BigInt(result);
          if (address >= 0n) mappings.add(address, length);
          return address;
        },
      }),
    munmap: (address, length) =>
      onMemory('munmap', address, {
        number: length,
        // From here on nobody may use it, also while the call waits for its turn.
        begin: () => {
          lanes.assertUnused(address, length);
          mappings.remove(address, length);
        },
        finish: (result) => {
          if (result < 0) mappings.add(address, length);
          return result;
        },
      }),
    madvise: (address, length, advice) => onMemory('madvise', address, { number: length, flags: advice }),
    copyIn: (address, buffer) => onMemory('copyIn', address, { buffer }),
    copyOut: (address, buffer) => onMemory('copyOut', address, { buffer }),
  };
}

/** Without the conveniences of the others: a thousand ioctls in flight are issued in half a millisecond. */
function ioctlOp(code: number, finish: Op['finish']): Ops['ioctl'] {
  return (fd, request, arg, pointers) => {
    const op = new Op(code, fd, fd);
    op.request = request;
    op.finish = finish;
    if (typeof arg === 'number') op.number = arg;
    else if (isAddress(arg)) {
      op.flags = ARGUMENT_IS_ADDRESS;
      op.offset = arg.address;
      op.structAt = arg.address;
    } else op.buffer = arg as Memory;
    if (pointers !== undefined) op.pointers = pointers;
    return op;
  };
}
