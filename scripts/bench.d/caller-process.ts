/** A caller's process: it gets "OPERATION COUNT" and answers with nanoseconds, so that all take turns. */

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** What a caller could not do, in its own words. */
export class Refusal extends Error {}

export class CallerProcess {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  #failure: Error | undefined;

  constructor(command: string, args: readonly string[]) {
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child.on('error', (error) => {
      this.#failure = error;
    });
    // A caller that is gone says so by the end of its output.
    this.#child.stdin!.on('error', () => {});
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  /** The time of `count` calls in nanoseconds. @throws Refusal */
  async time(operation: string, count: number): Promise<number> {
    this.#child.stdin!.write(`${operation} ${count}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new Refusal(this.#failure?.message ?? 'its process has ended');
    if (value.startsWith('error ')) throw new Refusal(value.slice('error '.length));
    return Number(value);
  }

  close(): void {
    this.#child.stdin!.end();
  }
}
