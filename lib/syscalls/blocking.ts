/**
 * ioctls that may block without bound, by the addon: each fd that makes them has a thread of its own, which ends when
 * the fd is closed. The thread is named gmem-fd-N and takes no signal but the one that interrupts it.
 */

import { checkBlocking, checkFd } from './arguments.ts';
import type { Lanes } from './lanes.ts';
import type { Mappings } from './mappings.ts';
import { BLOCKING, Op } from './op.ts';
import type { Syscalls } from './seam.ts';

export type BlockingCalls = Pick<Syscalls, 'ioctlBlocking' | 'interrupt'>;

/** `poke` copies into a mapping, as copyIn does. */
export function createBlocking(
  lanes: Lanes,
  mappings: Mappings,
  poke: (address: bigint, bytes: Uint8Array) => void,
): BlockingCalls {
  return {
    ioctlBlocking: async (fd, request, flag) => {
      checkBlocking(fd, request, flag);
      mappings.checkInside(flag.address, SET.byteLength);
      const op = new Op(BLOCKING, fd, fd);
      op.request = request;
      op.structAt = flag.address;
      return (await lanes.push(op)) as number;
    },
    interrupt: (fd) => {
      const waiting = lanes.interrupt(checkFd(fd));
      if (waiting !== undefined) poke(waiting.structAt as bigint, SET);
    },
  };
}

/** What the flag becomes. */
export const SET = Uint8Array.of(1);
