/** The end of the mocked host: a machine check that hardware makes of touching a TD's memory from outside. */

import { MockHostCrashedError } from '../syscalls/host-crashed.ts';

/** Whatever has a machine that can die. */
export interface Mortal {
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
