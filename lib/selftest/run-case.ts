/** Runs one case on one host and says how it ended. Whatever happens, it cleans up and looks for what was left open. */

import type { Host } from '../kvm/index.ts';
import { requirements } from './case.ts';
import { caseHost } from './case-host.ts';
import { T } from './context.ts';
import type { Entry } from './filter.ts';
import { holdings, leakProblem } from './leaks.ts';
import { type CaseResult, CheckError, type Problem, SkipError } from './outcome.ts';
import { problemFrom } from './problem.ts';
import type { Requires } from './requires.ts';
import { openStepLog, type StepLog, stepsIn } from './step-log.ts';
import { within } from './time.ts';
import { unmet } from './unmet.ts';

export interface CaseOptions {
  /** How long a case may take; 45 s, as kselftest's runner has it. */
  readonly timeout?: number;
  /** Fires when the user wants no more: the case is given up, and cleaned up. */
  readonly signal?: AbortSignal;
  /** Given the context before the case begins; errors nobody awaits can be put down to it. */
  readonly onStart?: (t: T) => void;
  /** Where the steps inside the case's calls are read from, for its report. */
  readonly steps?: StepLog;
}

export const DEFAULT_TIMEOUT = 45_000;
/** A cleanup that hangs must not hold up the report. */
const CLEANUP_TIMEOUT = 10_000;

type Ended = Pick<CaseResult, 'outcome' | 'reason'>;

export async function runCase(host: Host, entry: Entry, options: CaseOptions = {}): Promise<CaseResult> {
  const started = performance.now();
  const requires = requirements(entry.definition, entry.value);
  const missing = unmet(requires, host);
  if (missing !== undefined) return report(entry, started, { outcome: 'skip', reason: missing });
  const own = await caseHost(requires, host);
  try {
    const isOwn = own.host !== host;
    const steps = isOwn && options.steps ? { steps: openStepLog(own.host) } : {};
    return await runOn(own.host, { entry, requires, started }, { ...options, ...steps });
  } finally {
    await own.close();
  }
}

interface Begun {
  readonly entry: Entry;
  readonly requires: Requires;
  readonly started: number;
}

async function runOn(host: Host, { entry, requires, started }: Begun, options: CaseOptions): Promise<CaseResult> {
  const before = holdings(host);
  host.mock?.journal.clear();
  options.steps?.clear();
  const stop = new AbortController();
  const t = new T(host, requires, stop.signal);
  options.onStart?.(t);
  const ended = await run(t, entry, options);
  stop.abort(new Error('the case is over'));
  const problems = [...t.end(), ...(await t.cleanup.run(CLEANUP_TIMEOUT))];
  host.mock?.faults.reset();
  const leak = leakProblem(before, holdings(host));
  if (leak) problems.push(leak);
  const result = report(entry, started, judge(ended, problems, t), problems, t);
  return options.steps ? { ...result, steps: stepsIn(options.steps) } : result;
}

async function run(t: T, { definition, value }: Entry, options: CaseOptions): Promise<Ended> {
  const { timeout = DEFAULT_TIMEOUT, signal } = options;
  try {
    const ending = await within(timeout, definition.run(t, value), signal);
    if (ending === 'timeout') return { outcome: 'timeout', reason: `${timeout / 1000} s` };
    if (ending === 'interrupted') t.report({ what: 'interrupted', lines: [] });
  } catch (error) {
    if (error instanceof SkipError) return { outcome: 'skip', reason: error.message };
    // A failed check has put itself on record.
    if (!(error instanceof CheckError)) t.report(problemFrom(error, 'the case'));
  }
  return { outcome: 'pass', reason: '' };
}

function judge(ended: Ended, problems: Problem[], t: T): Ended {
  if (ended.outcome === 'timeout') return ended;
  if (problems.length > 0) return { outcome: 'fail', reason: '' };
  if (ended.outcome === 'skip' || t.checks > 0) return ended;
  problems.push({ what: 'asserted nothing', lines: ['A case that checks nothing proves nothing.'] });
  return { outcome: 'fail', reason: '' };
}

function report(entry: Entry, started: number, ended: Ended, problems: readonly Problem[] = [], t?: T): CaseResult {
  return {
    name: entry.definition.name,
    ...(entry.variant === undefined ? {} : { variant: entry.variant }),
    about: entry.definition.about,
    ...ended,
    problems,
    notes: t?.notes ?? [],
    checks: t?.checks ?? 0,
    milliseconds: performance.now() - started,
  };
}
