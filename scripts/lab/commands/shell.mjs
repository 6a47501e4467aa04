// @ts-check
import { execute } from './execute.mjs';
import { machineOptions } from './machine-options.mjs';

const ESCAPE = 0x1d; // Ctrl-]

/** @type {import('./command.mjs').Command} */
export const shell = {
  usage: '[OPTION...] [-- COMMAND...]',
  summary: 'a prompt in a kernel, or a command on its terminal; Ctrl-] switches the machine off',
  options: machineOptions,
  notes:
    'Without a terminal it is a shell that reads its commands from standard input. There is no time limit but --timeout.',
  async start(given) {
    const limit = given.number['timeout'] ?? Number.POSITIVE_INFINITY;
    const { stdin, stdout } = process;
    const command = given.rest.length > 0 ? given.rest : undefined;
    const common = { out: stdout, err: process.stderr, input: stdin, timeout: limit };
    if (!stdin.isTTY || !stdout.isTTY) return execute(given, { ...common, command: command ?? ['sh'] });
    // A login shell would go to the home folder.
    return execute(given, {
      ...common,
      command: command ?? ['sh', '-c', 'command -v bash >/dev/null && exec bash -i || exec sh -i'],
      terminal: { rows: stdout.rows, columns: stdout.columns },
      started(running) {
        stdin.setRawMode(true);
        stdin.on('data', (/** @type {Buffer} */ chunk) => chunk.includes(ESCAPE) && running.kill());
        stdout.on('resize', () => running.resize({ rows: stdout.rows, columns: stdout.columns }));
        // Leaving by process.exit gives the terminal back its mode.
        for (const signal of /** @type {const} */ (['SIGTERM', 'SIGHUP'])) process.on(signal, () => process.exit(143));
      },
    });
  },
};
