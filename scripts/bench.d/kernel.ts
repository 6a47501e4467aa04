/** The kernel part: every operation by every caller. */

import { CallerProcess, Refusal } from './caller-process.ts';
import { type Caller, callers, refusalOf, YARDSTICK } from './callers.ts';
import { loadPackage } from './dist.ts';
import type { OperationName } from './operations.ts';
import { type Contestant, type Pace, ratios, runRounds } from './rounds.ts';
import { type Spread, spreadOf } from './statistics.ts';
import { targets } from './targets.ts';
import { type Work, workFor } from './work.ts';

export interface Result {
  readonly op: OperationName;
  readonly by: string;
  /** Nanoseconds per call. */
  readonly ns?: Spread;
  /** To C's in the same round. */
  readonly ratio?: Spread;
  readonly rounds?: number;
  readonly target?: number;
  readonly met?: boolean;
  readonly skipped?: string;
}

interface Entry extends Contestant {
  readonly op: OperationName;
  readonly by: string;
}

/** Everything that could not be measured, with the reason, goes to `skip`. */
type Skip = (op: OperationName, by: string, reason: string) => void;

export async function measureKernel(operations: readonly OperationName[], pace: Pace): Promise<Result[]> {
  const skipped: Result[] = [];
  const skip: Skip = (op, by, reason) => skipped.push({ op, by, skipped: reason });
  const work = await workHere().catch((error: Error) => error);
  if (work instanceof Error) {
    for (const op of operations) for (const { name } of callers) skip(op, name, work.message);
    return skipped;
  }
  const processes = await startAll(work, operations, skip);
  try {
    const groups: Entry[][] = [];
    for (const op of operations) groups.push(await entriesOf(op, processes, work, skip));
    const times = await runRounds(groups, pace);
    return inOrder(operations, [...groups.flatMap((group) => resultsOf(group, times)), ...skipped]);
  } finally {
    for (const process of processes.values()) process.close();
  }
}

async function workHere(): Promise<Work> {
  const { openHost } = await loadPackage();
  const host = await openHost();
  try {
    if (host.backend === 'mock') throw new Error(host.reason);
    if (!host.features.guestMemfd) throw new Error('this kernel has no KVM_CREATE_GUEST_MEMFD');
    return await workFor(host.features);
  } finally {
    await host.close();
  }
}

async function startAll(work: Work, operations: readonly OperationName[], skip: Skip) {
  const started = new Map<Caller, CallerProcess>();
  for (const caller of callers) {
    try {
      const [command, ...args] = await caller.command(work);
      started.set(caller, new CallerProcess(command, args));
    } catch (error) {
      for (const op of operations) skip(op, caller.name, (error as Error).message.split('\n')[0]!);
    }
  }
  return started;
}

/** Those who can do it, each having done it once. */
async function entriesOf(
  op: OperationName,
  processes: ReadonlyMap<Caller, CallerProcess>,
  work: Work,
  skip: Skip,
): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (const [caller, process] of processes) {
    const by = caller.name;
    const reason = refusalOf(caller, op, work) ?? (await firstProblem(process, op));
    const unit = caller.batches || op === 'check-extension-many' ? work.batch : 1;
    if (reason === undefined) entries.push({ op, by, unit, time: (count) => process.time(op, count) });
    else skip(op, by, reason);
  }
  return entries;
}

async function firstProblem(process: CallerProcess, op: OperationName): Promise<string | undefined> {
  try {
    await process.time(op, 1);
    return undefined;
  } catch (error) {
    if (error instanceof Refusal) return error.message;
    throw error;
  }
}

function resultsOf(group: readonly Entry[], times: ReadonlyMap<Entry, number[]>): Result[] {
  const yardstick = group.find(({ by }) => by === YARDSTICK);
  return group.map((entry) => {
    const { op, by } = entry;
    const own = times.get(entry)!;
    const ratio = yardstick && spreadOf(ratios(own, times.get(yardstick)!));
    return { op, by, ns: spreadOf(own), rounds: own.length, ...(ratio && { ratio, ...judged(op, by, ratio) }) };
  });
}

function judged(op: OperationName, by: string, ratio: Spread): Pick<Result, 'target' | 'met'> {
  const target = targets.find((one) => one.op === op && one.by === by)?.ratioAtMost;
  return target === undefined ? {} : { target, met: ratio.median <= target };
}

function inOrder(operations: readonly OperationName[], results: readonly Result[]): Result[] {
  const names = callers.map(({ name }) => name);
  const place = ({ op, by }: Result): number => operations.indexOf(op) * names.length + names.indexOf(by);
  return [...results].sort((a, b) => place(a) - place(b));
}
