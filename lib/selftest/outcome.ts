/** How a case ended, and what went wrong in it. */

import type { JournalEntry } from '../mock/index.ts';

/** Thrown by `t.skip()`: an outcome, not an error. */
export class SkipError extends Error {
  override readonly name = 'SkipError';
}

/** Thrown by a check that failed; it ends the case. */
export class CheckError extends Error {
  override readonly name = 'CheckError';
  readonly problem: Problem;

  constructor(problem: Problem) {
    super([problem.what, ...problem.lines].join('\n'));
    this.problem = problem;
  }
}

export interface Problem {
  /** The check that failed, or what else was wrong, in one line. */
  readonly what: string;
  /** Wanted and got, and whatever explains it. */
  readonly lines: readonly string[];
  /** The source line of the check. */
  readonly at?: string;
}

export interface CaseResult {
  readonly name: string;
  readonly variant?: string;
  readonly about: string;
  readonly outcome: 'pass' | 'fail' | 'skip' | 'timeout';
  /** Why it was skipped, or the time it was given. */
  readonly reason: string;
  readonly problems: readonly Problem[];
  readonly notes: readonly string[];
  /** The steps inside its calls, where they were asked for; a sentence where they are not to be had. */
  readonly steps?: readonly JournalEntry[] | string;
  /** Checks that were made. */
  readonly checks: number;
  readonly milliseconds: number;
}
