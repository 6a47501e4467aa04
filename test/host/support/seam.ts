/** A seam to look over: records every call, and answers some of them instead of the kernel. */

import { CALL_NAMES, type CallName, type Calls, type Syscalls } from '../../../lib/syscalls/seam.ts';

/** Calls that have no twin, or whose answers no test changes. */
const OTHERS = [
  'ioctlBlocking',
  'interrupt',
  'readDirectory',
  'readDirectorySync',
  'readLink',
  'readLinkSync',
  'afterDeath',
] as const;
type Other = (typeof OTHERS)[number];

export interface Recorded {
  /** Without the Sync. */
  readonly name: CallName | Other;
  readonly args: readonly unknown[];
}

/** Answers a call in the kernel's place, or asks it by calling `next`. */
export type Answers = {
  [Name in CallName]?: (
    next: Calls[Name],
    ...args: Parameters<Calls[Name]>
  ) => ReturnType<Calls[Name]> | Promise<ReturnType<Calls[Name]>>;
};

export interface WatchedSeam {
  readonly syscalls: Syscalls;
  readonly calls: Recorded[];
}

export function watch(syscalls: Syscalls, answers: Answers = {}): WatchedSeam {
  const calls: Recorded[] = [];
  const watched: Record<string, unknown> = {};
  for (const name of CALL_NAMES) {
    const sync = (syscalls[`${name}Sync`] as (...args: unknown[]) => unknown).bind(syscalls);
    const async = (syscalls[name] as (...args: unknown[]) => Promise<unknown>).bind(syscalls);
    const answer = answers[name] as ((next: unknown, ...args: unknown[]) => unknown) | undefined;
    const through = (call: (...args: unknown[]) => unknown, args: unknown[]): unknown => {
      calls.push({ name, args });
      return answer ? answer(sync, ...args) : call(...args);
    };
    watched[`${name}Sync`] = (...args: unknown[]) => through(sync, args);
    watched[name] = async (...args: unknown[]) => through(async, args);
  }
  for (const name of OTHERS) {
    const call = (syscalls[name] as (...args: unknown[]) => unknown).bind(syscalls);
    watched[name] = (...args: unknown[]) => {
      calls.push({ name, args });
      return call(...args);
    };
  }
  const own = { backend: syscalls.backend, description: syscalls.description, dispose: () => syscalls.dispose() };
  return { syscalls: { ...own, ...watched } as unknown as Syscalls, calls };
}
