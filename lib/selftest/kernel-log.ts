/** What the kernel says while a case runs, where this process may read it; and what its own threads hang on. */

import { closeSync, constants, openSync, readdirSync, readFileSync, readSync } from 'node:fs';

/** The first words of what a kernel says when something is wrong with it. */
const TROUBLE =
  /\b(WARNING:|BUG:|Oops|general protection fault|KASAN|UBSAN|INFO: task .* blocked|rcu:.*stall|soft lockup)/;
const RECORD = 8192;

export class KernelLog {
  /** Why it cannot be read. */
  readonly unreadable: string | undefined;
  #seen = -1;

  /** Begins after what is there already. */
  constructor() {
    try {
      this.#records();
    } catch (error) {
      this.unreadable = `/dev/kmsg: ${(error as NodeJS.ErrnoException).code}`;
    }
  }

  /** Lines of trouble since the last look. */
  warnings(): string[] {
    if (this.unreadable !== undefined) return [];
    return this.#records().filter((text) => TROUBLE.test(text));
  }

  /** The threads of races in this process, and the kernel function that each sleeps in. */
  stuckThreads(): string[] {
    return readdirSync('/proc/self/task').flatMap((thread) => {
      const at = `/proc/self/task/${thread}`;
      const name = textOf(`${at}/comm`);
      return name.startsWith('gmem-race') ? [`${name} is in ${textOf(`${at}/wchan`)}`, textOf(`${at}/stack`)] : [];
    });
  }

  /** Records that were not seen before: each read gives one, "priority,sequence,time,flags;text". */
  #records(): string[] {
    const fd = openSync('/dev/kmsg', constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const fresh: string[] = [];
      for (const record of records(fd)) {
        const [head = '', text = ''] = record.split(';', 2);
        const sequence = Number(head.split(',')[1]);
        if (!(sequence > this.#seen)) continue;
        this.#seen = sequence;
        fresh.push(text.split('\n')[0] as string);
      }
      return fresh;
    } finally {
      closeSync(fd);
    }
  }
}

function* records(fd: number): Generator<string> {
  const bytes = Buffer.alloc(RECORD);
  while (true) {
    try {
      yield bytes.toString('utf8', 0, readSync(fd, bytes));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // EPIPE: the record was overwritten, and the next read gives the oldest there is.
      if (code === 'EPIPE') continue;
      if (code === 'EAGAIN') return;
      throw error;
    }
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  }
}
