/** Calls that wait: KVM_RUN of a guest that goes on for ever, and a map that meets a conversion. */

import { errno } from '../abi/errno.ts';
import { checkBlocking, checkFd } from '../syscalls/arguments.ts';
import type { Address, Syscalls } from '../syscalls/seam.ts';
import type { MockCalls } from './calls.ts';
import { type Machine, VcpuFile } from './kvm/index.ts';
import { HeldOff } from './restart.ts';

/** KVM_RUN comes back when it is interrupted, and only then. */
export function blockingCalls(
  machine: Machine,
  calls: Pick<MockCalls, 'ioctl'>,
): Pick<Syscalls, 'ioctlBlocking' | 'interrupt'> {
  const waiting = new Map<number, { flag: bigint; comeBack: () => void }>();
  return {
    ioctlBlocking: async (fd: number, request: number, argument: Address) => {
      checkBlocking(fd, request, argument);
      const { address: flag } = argument;
      const answer = calls.ioctl(fd, request, 0);
      const file = machine.fds.get(fd);
      if (!(file instanceof VcpuFile) || !file.spinning) return answer;
      return await new Promise<number>((resolve) => {
        waiting.set(fd, { flag, comeBack: () => resolve(-errno.EINTR) });
      });
    },
    interrupt: (fd: number) => {
      checkFd(fd);
      const call = waiting.get(fd);
      if (!call) return;
      waiting.delete(fd);
      machine.addressSpace.copyIn(call.flag, Uint8Array.of(1));
      call.comeBack();
    },
  };
}

/** An ioctl that is held off is made again when what it waits for is over. */
export function ioctlWhenItMay(calls: Pick<MockCalls, 'ioctlOnce'>): Syscalls['ioctl'] {
  return async (...args) => {
    while (true) {
      try {
        return calls.ioctlOnce(...args);
      } catch (error) {
        if (!(error instanceof HeldOff)) throw error;
        await error.settled;
      }
    }
  };
}
