/** Runs the selected cases on every planned host, one after the other, and tells a reporter. */

import { exitCode, type Totals } from '../ktap/index.ts';
import type { Host } from '../kvm/index.ts';
import { BackendUnavailableError } from '../syscalls/unavailable.ts';
import { TracingUnavailableError } from '../trace/index.ts';
import { requirements } from './case.ts';
import type { T } from './context.ts';
import type { Entry } from './filter.ts';
import { type GroupSpec, specName } from './groups.ts';
import type { CaseResult } from './outcome.ts';
import { problemFrom } from './problem.ts';
import type { GroupInfo, Reporter } from './reporter.ts';
import { type CaseOptions, runCase } from './run-case.ts';
import { closeStepLogs, openStepLog, type StepLog, sourceOf } from './step-log.ts';
import { unmet } from './unmet.ts';

export interface SuiteOptions extends Pick<CaseOptions, 'timeout' | 'signal'> {
  /** Stop at the first failure. */
  readonly bail?: boolean;
  /** Report the steps inside the calls of every case. */
  readonly journal?: boolean;
  /** Opens a group's host; injected, so that the runner itself can be tested. */
  readonly open: (spec: GroupSpec) => Promise<Host>;
}

type Prepared = { readonly spec: GroupSpec } & ({ readonly host: Host } | { readonly reason: string });

/** Answers the exit code: 0 all passed, 1 something failed, 4 nothing could run. */
export async function runSuite(
  specs: readonly GroupSpec[],
  entries: readonly Entry[],
  reporter: Reporter,
  options: SuiteOptions,
): Promise<0 | 1 | 4> {
  const prepared: Prepared[] = [];
  try {
    for (const spec of specs) prepared.push(await prepare(spec, options.open));
    const hopeless = whyNothingRuns(prepared, entries);
    if (hopeless !== undefined) {
      reporter.nothing(hopeless);
      return 4;
    }
    return await new Run(entries, reporter, options).all(prepared);
  } finally {
    for (const group of prepared) if ('host' in group) await group.host.close();
  }
}

async function prepare(spec: GroupSpec, open: SuiteOptions['open']): Promise<Prepared> {
  try {
    const host = await open(spec);
    // What cases can require must be known before they are asked for it.
    await host.guestSupport();
    return { spec, host };
  } catch (error) {
    return { spec, reason: whyAbsent(error) };
  }
}

/** One line: what was found, and the first thing to try. */
export function whyAbsent(error: unknown): string {
  if (error instanceof BackendUnavailableError) return `${error.reasons.join('; ')} -> ${error.fixes[0]}`;
  return error instanceof Error ? error.message : String(error);
}

/** Why no case can run on any host, if that is so and nothing was asked for by name that is not there. */
function whyNothingRuns(prepared: readonly Prepared[], entries: readonly Entry[]): string | undefined {
  const reasons = new Set<string>();
  for (const group of prepared) {
    if ('reason' in group) {
      if (group.spec.required) return undefined;
      reasons.add(`${specName(group.spec)}: ${group.reason}`);
      continue;
    }
    for (const { definition, value } of entries) {
      const reason = unmet(requirements(definition, value), group.host);
      if (reason === undefined) return undefined;
      reasons.add(reason);
    }
  }
  const [first = 'no case was selected', ...others] = reasons;
  return others.length > 0 ? `${first} (and ${others.length} other reasons)` : first;
}

class Run {
  readonly #entries: readonly Entry[];
  readonly #reporter: Reporter;
  readonly #options: SuiteOptions;
  #totals: Totals = { pass: 0, fail: 0, xfail: 0, xpass: 0, skip: 0, error: 0 };
  #current: T | undefined;
  #stopped: string | undefined;
  #steps: StepLog | undefined;

  constructor(entries: readonly Entry[], reporter: Reporter, options: SuiteOptions) {
    this.#entries = entries;
    this.#reporter = reporter;
    this.#options = options;
  }

  async all(groups: readonly Prepared[]): Promise<0 | 1 | 4> {
    // A rejection that nobody awaits would end the process in the middle of a line; it fails the case instead.
    const stray = (error: unknown): void => this.#current?.report(problemFrom(error, 'a promise nobody awaits'));
    process.on('unhandledRejection', stray);
    try {
      this.#reporter.begin(groups.length);
      for (const group of groups) await this.#group(group);
      const code = this.#options.signal?.aborted ? 1 : exitCode(this.#totals);
      this.#reporter.end(this.#totals, code);
      return code;
    } finally {
      process.off('unhandledRejection', stray);
    }
  }

  async #group(group: Prepared): Promise<void> {
    if ('reason' in group) {
      this.#count(group.spec.required ? 'error' : 'skip');
      this.#reporter.absent(group.spec, group.reason);
      return;
    }
    const info = describe(group.spec, group.host);
    const source = this.#options.journal ? { steps: this.#watch(group.host) } : {};
    try {
      this.#reporter.groupBegin({ ...info, ...source }, this.#entries.length);
      for (const entry of this.#entries) {
        const result = await this.#case(group.host, entry);
        this.#count(result.outcome === 'timeout' ? 'fail' : result.outcome);
        this.#reporter.result(result);
      }
      this.#reporter.groupEnd();
    } finally {
      closeStepLogs();
      this.#steps = undefined;
    }
  }

  /** Opens the log that the group's steps are read from. Answers what there is to see, in words. */
  #watch(host: Host): string {
    try {
      this.#steps = openStepLog(host);
      return sourceOf(this.#steps, host);
    } catch (error) {
      if (error instanceof TracingUnavailableError) return error.message;
      throw error;
    }
  }

  async #case(host: Host, entry: Entry): Promise<CaseResult> {
    const { signal, bail } = this.#options;
    if (signal?.aborted) this.#stopped ??= 'not run: interrupted';
    if (this.#stopped !== undefined) return notRun(entry, this.#stopped);
    const onStart = (t: T): void => {
      this.#current = t;
    };
    // The mock answers without a turn of the event loop; signals and strays need one.
    await new Promise(setImmediate);
    const result = await runCase(host, entry, {
      ...this.#options,
      onStart,
      ...(this.#steps && { steps: this.#steps }),
    });
    if (bail && result.problems.length > 0) this.#stopped = 'not run: an earlier case failed (--bail)';
    return result;
  }

  #count(outcome: keyof Totals): void {
    this.#totals = { ...this.#totals, [outcome]: this.#totals[outcome] + 1 };
  }
}

function notRun({ definition, variant }: Entry, reason: string): CaseResult {
  const { name, about } = definition;
  const which = variant === undefined ? {} : { variant };
  return { name, ...which, about, outcome: 'skip', reason, problems: [], notes: [], checks: 0, milliseconds: 0 };
}

function describe(spec: GroupSpec, { backend, description, features, mock }: Host): GroupInfo {
  const { release, vmTypes, dialect, dialectReason } = features;
  const kernel = mock ? mock.profile.name : `linux-${release}`;
  const platform = mock ? mock.platform : 'this machine';
  const name = [backend, kernel, ...(mock ? [mock.platform] : [])].join(' ');
  return { name, spec, backend, description, why: spec.why, release, platform, vmTypes, dialect, dialectReason };
}
