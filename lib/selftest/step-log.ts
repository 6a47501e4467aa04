/** A record of the steps inside calls: the mock's own, or what tracing sees of a real kernel. */

import type { Host } from '../kvm/index.ts';
import type { JournalEntry } from '../mock/index.ts';
import { findTracefs, StepRecorder, TracingUnavailableError, type Unseen } from '../trace/index.ts';

export interface StepLog {
  /** The steps since the log was opened or cleared, oldest first. */
  readonly entries: readonly JournalEntry[];
  /** What it cannot tell. */
  readonly unseen: readonly Unseen[];
  clear(): void;
}

/** Of this process; cases share it, as a host's share its journal: for each that is opened a kernel patches itself. */
let recorder: StepRecorder | undefined;

/** @throws TracingUnavailableError where a real kernel shows nothing. */
export function openStepLog({ mock }: Host): StepLog {
  if (mock) return logOf(mock.journal, []);
  recorder ??= new StepRecorder();
  recorder.clear();
  return logOf(recorder, recorder.unseen);
}

function logOf(source: Pick<StepLog, 'entries' | 'clear'>, unseen: readonly Unseen[]): StepLog {
  return {
    get entries() {
      return source.entries;
    },
    unseen,
    clear: () => source.clear(),
  };
}

/** Real kernels are watched no more. */
export function closeStepLogs(): void {
  recorder?.close();
  recorder = undefined;
}

/** Why a real kernel shows no steps; undefined where it may. */
export function whyNoSteps(): string | undefined {
  try {
    findTracefs();
    return undefined;
  } catch (error) {
    if (error instanceof TracingUnavailableError) return `${error.reason}; ${error.fix}`;
    throw error;
  }
}

/** Of conversions there is nothing to see where there are none. */
const ONLY_OF_CONVERSIONS: readonly string[] = ['conversions', 'check-references', 'set-shareability'];

/** Why this log does not do for a case; undefined where it does. */
export function whyTooLittle({ unseen }: StepLog, { features: { dialect } }: Host): string | undefined {
  const converts = dialect === 'rfc-convert' || dialect === 'attributes2';
  const missing = unseen.filter(({ what }) => converts || !ONLY_OF_CONVERSIONS.includes(what));
  if (missing.length === 0) return undefined;
  const list = missing.map(({ what, functions }) => `${what} (${functions.join(', ')})`).join('; ');
  return `needs to see the kernel's steps, and none of these functions can be watched: ${list}`;
}

/** For reports: what a log is made of, and what it lacks. */
export function sourceOf({ unseen }: StepLog, { mock }: Host): string {
  const since = 'from where a case last cleared it';
  if (mock) return `the mock's journal, ${since}`;
  const list = unseen.map(({ what, functions }) => `${what} (no ${functions.join(', ')})`);
  return [
    `kprobes on the kernel's functions, ${since}`,
    ...(list.length > 0 ? [`not seen: ${list.join('; ')}`] : []),
  ].join('; ');
}

/** What a log holds, or why that cannot be said. */
export function stepsIn(log: StepLog): StepLog['entries'] | string {
  try {
    return [...log.entries];
  } catch (error) {
    return (error as Error).message;
  }
}
