/** `gmem`: finds the command and runs it. */

import { readFileSync } from 'node:fs';
import { cases } from '../selftest/cases/index.ts';
import { DEFAULT_PROGRAM } from '../selftest/index.ts';
import { compareCommand } from './compare-command.ts';
import { doctor } from './doctor-command.ts';
import type { Command, ExitCode, Io } from './io.ts';
import { isHelp, print, runCommand } from './run-command.ts';
import { selftestCommand } from './selftest-command.ts';

const commands: Readonly<Record<string, Command>> = {
  selftest: selftestCommand(cases, DEFAULT_PROGRAM),
  doctor,
  compare: compareCommand,
};

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
  return await runCommand(command, rest, io, `gmem ${name}`);
}
