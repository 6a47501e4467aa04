/** Running one command: its help, and what is said of a command line that cannot be meant. */

import type { Command, ExitCode, Io } from './io.ts';
import { UsageError } from './options.ts';

export const isHelp = (word: string | undefined): boolean => word === '--help' || word === '-h';

export function print(io: Io, text: string): ExitCode {
  io.out(`${text}\n`);
  return 0;
}

/** `program`: what the user typed to get here, for messages. */
export async function runCommand(
  command: Command,
  argv: readonly string[],
  io: Io,
  program: string,
): Promise<ExitCode> {
  if (argv.some(isHelp)) return print(io, command.help);
  try {
    return await command.run(argv, io);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    io.error(`${program}: ${error.message}\nsee ${program} --help\n`);
    return 2;
  }
}
