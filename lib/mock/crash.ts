/** The end of the mocked host: a machine check that hardware makes of touching a TD's memory from outside. */

import { MockHostCrashedError } from '../syscalls/host-crashed.ts';
import { CALL_NAMES, type Calls } from '../syscalls/seam.ts';
import type { MockCalls } from './calls.ts';

/** Whatever has a machine that can die. */
interface Mortal {
  readonly platform: { readonly machineCheck: string | undefined };
}

/** @throws MockHostCrashedError once the host has died */
export function checkAlive({ platform: { machineCheck } }: Mortal): void {
  if (machineCheck !== undefined) throw new MockHostCrashedError(machineCheck);
}

/** The same function, of a host that may die before it or of it. */
export function mortal<A extends unknown[], R>(machine: Mortal, call: (...args: A) => R): (...args: A) => R {
  return (...args) => {
    checkAlive(machine);
    const answer = call(...args);
    checkAlive(machine);
    return answer;
  };
}

/** Files and mappings are let go of all the same, so that what was open can be closed. */
const LETTING_GO: readonly string[] = ['close', 'munmap'];

export type MortalCalls = Calls & Pick<MockCalls, 'ioctlOnce'>;

/** The calls of a process on a host that may die. */
export function mortalCalls(machine: Mortal, calls: MockCalls): MortalCalls {
  const guarded: Record<string, unknown> = {};
  for (const name of [...CALL_NAMES, 'ioctlOnce'] as const) {
    const call = calls[name].bind(calls) as (...args: unknown[]) => unknown;
    guarded[name] = LETTING_GO.includes(name) ? call : mortal(machine, call);
  }
  return { ...guarded } as unknown as MortalCalls;
}
