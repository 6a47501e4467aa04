/** The steps that a real kernel takes inside its calls, recorded as the mock records its own. */

import type { JournalEntry } from '../mock/index.ts';
import { parseEvent } from './event.ts';
import { type EventName, type Point, points, type Way } from './points.ts';
import { stepsOf } from './steps.ts';
import { TraceInstance } from './tracefs.ts';
import { TracingUnavailableError } from './unavailable.ts';

/** Something of which this kernel gives no account. */
export interface Unseen {
  /** The step, or the kind of call. */
  readonly what: string;
  /** The functions that could have told; none of them is in this kernel. */
  readonly functions: readonly string[];
}

/**
 * Records what this process's threads do inside guest_memfds, from its making until it is closed; threads that were made
 * after it, from the next clear() on. Needs root and a kernel with CONFIG_KPROBE_EVENTS. Ranges are in pages, of the file
 * and (unmap-stage2) of guest-physical memory; files and memslots are numbered in the order in which they turn up.
 */
export class StepRecorder implements Disposable {
  /** What cannot be seen in this kernel; of everything else there is a record. */
  readonly unseen: readonly Unseen[];
  readonly #instance: TraceInstance;
  readonly #seen: ReadonlySet<EventName>;

  /** @throws TracingUnavailableError where there is no tracefs, no right to use it, or no guest_memfd to watch. */
  constructor(root?: string) {
    this.#instance = new TraceInstance(root);
    try {
      const seen = points.filter((point) => watch(this.#instance, point));
      this.#seen = new Set(seen.map(({ event }) => event));
      this.unseen = points.filter((point) => point.tells !== undefined && !seen.includes(point)).map(unseenWithout);
      if (!seen.some(({ event }) => CALLS.has(event))) throw noGuestMemfd();
      this.#instance.start();
    } catch (error) {
      this.#instance.close();
      throw error;
    }
  }

  /** The steps since the recorder was made or cleared, oldest first. @throws Error when there were too many. */
  get entries(): readonly JournalEntry[] {
    return stepsOf(this.#instance.lines().map(parseEvent), this.#seen.has('end'));
  }

  clear(): void {
    this.#instance.clear();
  }

  /** Leaves tracefs as it was found. */
  close(): void {
    this.#instance.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

const CALLS: ReadonlySet<EventName> = new Set(['ioctl', 'fallocate', 'release']);

/** Whether the kernel has a function of the point. */
function watch(instance: TraceInstance, { event, ways, otherwise = [] }: Point): boolean {
  const add = ({ kind, symbol, reads }: Way, i: number): boolean =>
    instance.addProbe(`${event}_${i + 1}`, kind, `${symbol} ${reads}`);
  return ways.some((way) => add(way, 0)) || otherwise.filter(add).length > 0;
}

const unseenWithout = ({ tells = '', ways, otherwise = [] }: Point): Unseen => ({
  what: tells,
  functions: [...ways, ...otherwise].map(({ symbol }) => symbol),
});

function noGuestMemfd(): TracingUnavailableError {
  return new TracingUnavailableError(
    'the kernel has no function of a guest_memfd that can be watched',
    'needs KVM with guest_memfd (load kvm), CONFIG_KALLSYMS=y and CONFIG_KPROBES=y',
  );
}
