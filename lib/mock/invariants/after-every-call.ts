/** Checks the machine after each system call; a violation is thrown, since it is a bug of the mock. */

import { CALL_NAMES } from '../../syscalls/seam.ts';
import type { MortalCalls } from '../crash.ts';
import type { Machine } from '../kvm/index.ts';

/**
 * How much there is to look at that one call may cost. A machine with no more than this is looked at after every call, a
 * larger one as often as that pays for: what went wrong in it shows some calls later.
 */
const EVERY_CALL = 64;

/** Something to look at: a run of states, a page, a translation. */
function sizeOf({ inodes, memory, vms }: Machine): number {
  let size = memory.pagesInUse;
  for (const { shareability } of inodes) size += shareability.runs;
  for (const { stage2 } of vms) size += stage2.size;
  return size;
}

/** `check` answers what is wrong. A call made in the middle of another is not followed by a check: that one is not over. */
export function afterEveryCall(
  calls: MortalCalls,
  machine: Machine,
  check: (machine: Machine) => string[],
): MortalCalls {
  let depth = 0;
  let owed = 0;
  const checked = (name: string): void => {
    owed += EVERY_CALL;
    if (depth > 0 || owed < sizeOf(machine)) return;
    owed = 0;
    const wrong = check(machine);
    if (wrong.length > 0) throw new Error(`the mock broke its own rules in ${name}:\n${wrong.join('\n')}`);
  };
  const watched: Partial<Record<keyof MortalCalls, unknown>> = {};
  for (const name of [...CALL_NAMES, 'ioctlOnce'] as const) {
    watched[name] = (...args: unknown[]) => {
      depth++;
      let answer: unknown;
      try {
        answer = (calls[name] as (...args: unknown[]) => unknown).apply(calls, args);
      } finally {
        depth--;
      }
      checked(name);
      return answer;
    };
  }
  return watched as MortalCalls;
}
