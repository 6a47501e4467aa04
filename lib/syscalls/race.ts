/**
 * A race: programs of calls that run at the same time, each on a thread of its own, over and over until it is over.
 * What a call answers is counted instead of handed back, and bytes that one worker alone writes are watched: what it
 * wrote last must be what it finds.
 */

export interface IoctlStep {
  readonly fd: number;
  readonly request: number;
  /** The worker gives the kernel a fresh copy each time. */
  readonly struct: Uint8Array;
  /** Where a failed ioctl leaves a u64 that is to be counted with its errno. */
  readonly wordAt?: number;
  /** Where the fd that the worker holds belongs; without one the step is left out. */
  readonly fdAt?: number;
}

/** One call of a program. An ioctl must have a struct: one that blocks without bound has none. */
export type RaceStep =
  | ({ readonly call: 'ioctl' } & IoctlStep)
  /** The answer is an fd, which the worker holds in place of the one before; nobody else knows it. */
  | ({ readonly call: 'ioctlFd' } & IoctlStep)
  /** Closes the fd that the worker holds. */
  | { readonly call: 'close' }
  | {
      readonly call: 'fallocate';
      readonly fd: number;
      readonly mode: number;
      readonly offset: bigint;
      readonly length: bigint;
    }
  /** Maps, reads the first byte of every page, and unmaps. */
  | {
      readonly call: 'mmap';
      readonly length: number;
      readonly prot: number;
      readonly flags: number;
      readonly fd: number;
      readonly offset: bigint;
    }
  /** Memory that nobody but this worker writes, in a mapping made here. */
  | { readonly call: 'copyIn'; readonly address: bigint; readonly bytes: Uint8Array }
  /**
   * What is found must be what the worker copied in last. `zeroWillDo`: or 0, since somebody drops the page's contents;
   * a 0 that was found must stay.
   */
  | { readonly call: 'copyOut'; readonly address: bigint; readonly length: number; readonly zeroWillDo?: boolean };

export type RaceProgram = readonly RaceStep[];

/** A race is over when one of the first two is reached, or a byte is lost. */
export interface RaceLimits {
  /** The mock's clock stands still. */
  readonly milliseconds: number;
  /** For each worker. */
  readonly steps: number;
  /** The mock has one thread: this decides who is next. */
  readonly seed: number;
}

/** Not all bytes of a copy, or not all pages of a mapping, could be had. */
export const PARTLY = 1;

/** How often a step had this outcome: 0 for done, PARTLY, or -errno. */
export interface RaceTally {
  readonly step: number;
  readonly outcome: number;
  /** After a failure of an ioctl with `wordAt`; none once thousands of different ones were seen. */
  readonly word?: bigint;
  readonly count: number;
}

/** A byte that is not what its only writer put there: at `at` of what step `step` copied out. */
export interface LostByte {
  readonly step: number;
  readonly at: number;
  readonly wanted: number;
  readonly found: number;
}

/** What a worker did. */
export interface RaceResult {
  /** How many steps it took. */
  readonly steps: number;
  readonly tallies: readonly RaceTally[];
  /** What must be in the memory that it copied to and from. */
  readonly memory: readonly { readonly address: bigint; readonly bytes: Uint8Array }[];
  readonly lost?: LostByte;
}

/** The addresses that a program copies to and from. */
export function copiedBy(programs: readonly RaceProgram[]): bigint[] {
  return programs.flat().flatMap((step) => ('address' in step ? [step.address] : []));
}

/** The fds that programs were given, each once. */
export function fdsOf(programs: readonly RaceProgram[]): number[] {
  return [...new Set(programs.flat().flatMap((step) => ('fd' in step ? [step.fd] : [])))];
}
