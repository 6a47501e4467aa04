/** The operations by asynchronous calls of the package's seam. */

import type { Syscalls } from '../../lib/index.ts';
import type { Check, Files } from './files.ts';
import type { Loop, Loops } from './loops-sync.ts';
import type { OperationName } from './operations.ts';
import type { Work } from './work.ts';

type Step = () => Promise<number>;

/** Each call is waited for before the next is issued. */
export function awaitedLoops(syscalls: Syscalls, check: Check, files: Files, work: Work): Loops {
  const values = new BigUint64Array(work.batch).fill(BigInt(work.check.value));
  const many: Loop = async (count) => {
    for (let done = 0; done < count; done += work.batch) {
      const { result } = await syscalls.ioctlMany(files.kvm, work.check.request, values.subarray(0, count - done));
      check(result);
    }
  };
  const oneByOne = (step: Step): Loop => {
    return async (count) => {
      for (let i = 0; i < count; i++) check(await step());
    };
  };
  return { ...each(steps(syscalls, check, files, work), oneByOne), 'check-extension-many': many };
}

/** `work.batch` calls are issued before the first is waited for. */
export function inFlightLoops(syscalls: Syscalls, check: Check, files: Files, work: Work): Loops {
  const allAtOnce = (step: Step): Loop => {
    return async (count) => {
      for (let done = 0; done < count; done += work.batch) {
        const calls: Promise<number>[] = [];
        for (let i = Math.min(work.batch, count - done); i > 0; i--) calls.push(step());
        for (const answer of await Promise.all(calls)) check(answer);
      }
    };
  };
  return each(steps(syscalls, check, files, work), allAtOnce);
}

type Steps = Partial<Record<OperationName, Step>>;

function each(steps: Steps, loopOf: (step: Step) => Loop): Loops {
  return Object.fromEntries(Object.entries(steps).map(([name, step]) => [name, loopOf(step)]));
}

function steps(syscalls: Syscalls, check: Check, { kvm, vm, empty, converted }: Files, work: Work): Steps {
  const create = Uint8Array.from(work.create.struct);
  const length = BigInt(work.punch.length);
  const conversions = work.convert?.steps ?? [];
  let turn = 0;
  return {
    'check-extension': () => syscalls.ioctl(kvm, work.check.request, work.check.value),
    'create-close': async () => syscalls.close(check(await syscalls.ioctlFd(vm, work.create.request, create))),
    'punch-hole': () => syscalls.fallocate(empty, work.punch.mode, 0n, length),
    ...(conversions.length > 0 && {
      'convert-2mib': () => {
        const { request, struct } = conversions[turn++ % conversions.length]!;
        // A buffer belongs to its call until that completes, so each has its own.
        return syscalls.ioctl(converted, request, Uint8Array.from(struct));
      },
    }),
  };
}
