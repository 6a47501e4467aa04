/**
 * A command in a process of its own. A first Ctrl-C lets the running case clean up and the report end; a second one
 * ends the process.
 */

import type { ExitCode, Io } from './io.ts';

/** Runs it on this process's arguments and streams, and sets its exit code. */
export async function inThisProcess(
  program: string,
  run: (argv: readonly string[], io: Io) => Promise<ExitCode>,
): Promise<void> {
  const stop = new AbortController();
  const interrupt = (signal: 'SIGINT' | 'SIGTERM'): void => {
    if (stop.signal.aborted) process.exit(signal === 'SIGINT' ? 130 : 143);
    process.stderr.write(`${program}: cleaning up; once more to end at once\n`);
    stop.abort();
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  // The reader is gone (`gmem selftest | head`): nobody is left to report to.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    stop.abort();
  });
  process.exitCode = await run(process.argv.slice(2), {
    out: (text) => process.stdout.write(text),
    error: (text) => process.stderr.write(text),
    env: process.env,
    signal: stop.signal,
  });
  // What a case that ran out of time left behind must not keep the process: a call that hangs in the kernel, a timer.
  setTimeout(() => process.exit(), 2_000).unref();
}
