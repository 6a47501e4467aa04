/** The calls of a process whose host may die under it. */

import { CALL_NAMES, type Calls } from '../syscalls/seam.ts';
import { type Mortal, mortal } from './alive.ts';
import type { MockCalls } from './calls.ts';

/** Files and mappings are let go of all the same, so that what was open can be closed. */
const LETTING_GO: readonly string[] = ['close', 'munmap'];

export type MortalCalls = Calls & Pick<MockCalls, 'ioctlOnce'>;

export function mortalCalls(machine: Mortal, calls: MockCalls): MortalCalls {
  const guarded: Record<string, unknown> = {};
  for (const name of [...CALL_NAMES, 'ioctlOnce'] as const) {
    const call = calls[name].bind(calls) as (...args: unknown[]) => unknown;
    guarded[name] = LETTING_GO.includes(name) ? call : mortal(machine, call);
  }
  return { ...guarded } as unknown as MortalCalls;
}
