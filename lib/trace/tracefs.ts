/**
 * tracefs: where it is, and a part of it that is ours alone. Probes are common to all who trace, so ours carry our
 * process's number; buffer, clock and filter are those of an instance of our own. Documentation/trace/kprobetrace.rst
 * and ftrace.rst ("Instances") of the kernel.
 */

import {
  access,
  accessSync,
  appendFileSync,
  constants,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Ending } from './ending.ts';
import { TracingUnavailableError } from './unavailable.ts';

const MOUNTS = ['/sys/kernel/tracing', '/sys/kernel/debug/tracing'];
/** What begins our names, so that what a killed process left behind is known for ours. */
const MARK = 'gmem_';
const OURS = new RegExp(`^${MARK}(\\d+)_\\d+$`);

/** @throws TracingUnavailableError, which says what to do about it. */
export function findTracefs(mounts: readonly string[] = MOUNTS): string {
  const mounted = mounts.find((mount) => refusal(join(mount, 'instances'), constants.F_OK) !== 'ENOENT');
  if (mounted === undefined) {
    throw new TracingUnavailableError(
      `no tracefs at ${mounts.join(' or ')}`,
      'needs root and CONFIG_FTRACE=y: mount -t tracefs tracefs /sys/kernel/tracing',
    );
  }
  for (const name of ['instances', 'kprobe_events']) {
    const path = join(mounted, name);
    const code = refusal(path, constants.W_OK);
    if (code === 'ENOENT') throw new TracingUnavailableError(`no ${path}`, 'needs CONFIG_KPROBE_EVENTS=y');
    if (code !== undefined) throw new TracingUnavailableError(`${path}: ${code}`, 'needs root');
  }
  return mounted;
}

function refusal(path: string, mode: number): string | undefined {
  try {
    accessSync(path, mode);
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

let instances = 0;
const ending = new Ending();

/** Probes, and a buffer for what they see of this process's threads. Nothing is left of it once it is closed. */
export class TraceInstance implements Disposable {
  readonly #root: string;
  readonly #group: string;
  readonly #probes: string[] = [];
  #open = true;

  /** @throws TracingUnavailableError where the kernel refuses an instance. */
  constructor(root: string = findTracefs()) {
    this.#root = root;
    removeLeftovers(root);
    instances += 1;
    this.#group = `${MARK}${process.pid}_${instances}`;
    try {
      mkdirSync(this.#folder);
    } catch (error) {
      throw new TracingUnavailableError(
        `mkdir ${this.#folder}: ${(error as NodeJS.ErrnoException).code}`,
        'needs root',
        {
          cause: error,
        },
      );
    }
    ending.add(this);
  }

  get #folder(): string {
    return join(this.#root, 'instances', this.#group);
  }

  /** `definition` is a line of kprobe_events less the event's name. False where the kernel knows no such function. */
  addProbe(name: string, kind: 'p' | 'r', definition: string): boolean {
    try {
      appendFileSync(join(this.#root, 'kprobe_events'), `${kind}:${this.#group}/${name} ${definition}\n`);
    } catch {
      return false;
    }
    this.#probes.push(name);
    return true;
  }

  /** From here on what the probes see is kept. */
  start(): void {
    // Counts events; what happened on several processors has one order by it.
    this.#write('trace_clock', 'counter');
    // Node.js makes the threads of its pool with the first call that wants one.
    access('/', () => {});
    this.#keepToThisProcess();
    this.#write(`events/${this.#group}/enable`, '1');
    this.#write('tracing_on', '1');
  }

  /** Throws away what was seen. Threads that are new since the start are watched from now on. */
  clear(): void {
    this.#keepToThisProcess();
    this.#write('trace', '');
  }

  /**
   * Not by set_event_pid, for which the kernel hangs probes into its scheduler: emulated processors have been seen to
   * fall over what is patched there while it runs.
   */
  #keepToThisProcess(): void {
    const threads = readdirSync('/proc/self/task').map((thread) => `common_pid == ${thread}`);
    this.#write(`events/${this.#group}/filter`, threads.join(' || '));
  }

  /** What was seen, a line each. @throws Error where there was more than the buffer holds. */
  lines(): string[] {
    const lost = this.#lost();
    if (lost > 0) throw new Error(`the trace buffer has lost ${lost} events; record less at a time`);
    return readFileSync(join(this.#folder, 'trace'), 'utf8')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
  }

  #lost(): number {
    let lost = 0;
    for (const cpu of readdirSync(join(this.#folder, 'per_cpu'))) {
      const stats = readFileSync(join(this.#folder, 'per_cpu', cpu, 'stats'), 'utf8');
      for (const [, count] of stats.matchAll(/^(?:overrun|dropped events): (\d+)$/gm)) lost += Number(count);
    }
    return lost;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    ending.delete(this);
    removeInstance(this.#root, this.#group, this.#probes);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #write(file: string, text: string): void {
    writeFileSync(join(this.#folder, file), text);
  }
}

/** An event is in use as long as an instance has it on, and a probe can go only when its event is not in use. */
function removeInstance(root: string, group: string, probes: readonly string[]): void {
  const folder = join(root, 'instances', group);
  attempt(() => writeFileSync(join(folder, 'events', group, 'enable'), '0'));
  attempt(() => rmdirSync(folder));
  for (const name of probes) attempt(() => appendFileSync(join(root, 'kprobe_events'), `-:${group}/${name}\n`));
}

/** What processes left behind that were killed before they could tidy up. */
function removeLeftovers(root: string): void {
  const defined = readFileSync(join(root, 'kprobe_events'), 'utf8').matchAll(/^[pr][^:]*:([^/\s]+)\/(\S+)/gm);
  const probes = new Map<string, string[]>();
  for (const group of readdirSync(join(root, 'instances'))) probes.set(group, []);
  for (const [, group = '', name = ''] of defined) probes.set(group, [...(probes.get(group) ?? []), name]);
  for (const [group, names] of probes) {
    const owner = OURS.exec(group)?.[1];
    if (owner !== undefined && !isRunning(Number(owner))) removeInstance(root, group, names);
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function attempt(step: () => void): void {
  try {
    step();
  } catch {
    // Gone already, or somebody else's by now.
  }
}
