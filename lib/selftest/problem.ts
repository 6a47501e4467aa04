/** Turns whatever was thrown into the lines of a report. */

import { inspect } from 'node:util';
import { CheckError, type Problem } from './outcome.ts';

/** What was thrown while `doing`, as a problem: a failed check says so itself. */
export function problemFrom(thrown: unknown, doing: string): Problem {
  if (thrown instanceof CheckError) return thrown.problem;
  if (!(thrown instanceof Error)) return { what: `${doing} threw ${inspect(thrown)}`, lines: [] };
  const { code } = thrown as { code?: unknown };
  const label = typeof code === 'string' ? `${thrown.name} [${code}]` : thrown.name;
  const causes = thrown.cause === undefined ? [] : [`caused by ${inspect(thrown.cause, { depth: 1 })}`];
  return located({ what: `${doing} threw ${label}`, lines: [...thrown.message.split('\n'), ...causes] }, thrown.stack);
}

/** Adds the first source line of the stack that is a case's own, if there is one. */
export function located(problem: Problem, stack: string | undefined): Problem {
  const frame = stack?.split('\n').find((line) => /selftest\/cases\//.test(line));
  const at = frame && /((?:lib|dist)\/selftest\/.*:\d+):\d+\)?$/.exec(frame)?.[1];
  return at ? { ...problem, at } : problem;
}
