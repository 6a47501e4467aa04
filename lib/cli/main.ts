/** `gmem`: finds the command and runs it. */

import { readFileSync } from 'node:fs';
import { doctor } from './doctor-command.ts';
import type { Command, ExitCode, Io } from './io.ts';
import { UsageError } from './options.ts';
import { selftest } from './selftest-command.ts';

const commands: Readonly<Record<string, Command>> = { selftest, doctor };

const HELP = `gmem: Linux's confidential-memory interfaces, on a real kernel or on a mock of one

usage: gmem COMMAND [OPTION...]

${Object.entries(commands)
  .map(([name, { summary }]) => `  ${name.padEnd(10)} ${summary}`)
  .join('\n')}

  gmem COMMAND --help   what a command takes
  gmem --version        the package's version`;

/** The same two folders up from lib/cli and from dist/cli. */
function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

const isHelp = (word: string | undefined): boolean => word === '--help' || word === '-h';

export async function main(argv: readonly string[], io: Io): Promise<ExitCode> {
  const [name, ...rest] = argv;
  if (name === '--version') return print(io, version());
  if (isHelp(name) || name === 'help') return print(io, commands[rest[0] ?? '']?.help ?? HELP);
  const command = Object.hasOwn(commands, name ?? '') ? commands[name!]! : undefined;
  if (!command) {
    io.error(
      name === undefined ? `${HELP}\n` : `gmem: no command '${name}'; there is ${Object.keys(commands).join(', ')}\n`,
    );
    return 2;
  }
  if (rest.some(isHelp)) return print(io, command.help);
  try {
    return await command.run(rest, io);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    io.error(`gmem ${name}: ${error.message}\nsee gmem ${name} --help\n`);
    return 2;
  }
}

function print(io: Io, text: string): ExitCode {
  io.out(`${text}\n`);
  return 0;
}
