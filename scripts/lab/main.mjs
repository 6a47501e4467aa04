// @ts-check
import { build } from './commands/build.mjs';
import { clean, list } from './commands/list.mjs';
import { run } from './commands/run.mjs';
import { shell } from './commands/shell.mjs';
import { test } from './commands/test.mjs';
import { Failure, say, status } from './host/failure.mjs';
import { endWithNpm } from './host/npm.mjs';
import { describeOptions, parseOptions } from './options.mjs';

/** @type {Record<string, import('./commands/command.mjs').Command>} */
const commands = { build, run, shell, test, list, clean };

function overview() {
  const rows = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(7)}${summary}`);
  return `scripts/lab/lab: real kernels in QEMU\n\nusage: lab COMMAND [OPTION...]   (lab COMMAND --help says more)\n\n${rows.join('\n')}\n`;
}

/**
 * @param {string} name
 * @param {import('./commands/command.mjs').Command} command
 */
function helpOf(name, { usage, summary, options, notes }) {
  const parts = [
    `lab ${name}: ${summary}`,
    `usage: lab ${name} ${usage}`.trim(),
    describeOptions(options),
    notes ?? '',
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

/** @param {string[]} argv */
async function main(argv) {
  const [name = '', ...args] = argv;
  if (name === '' || name === '--help' || name === '-h' || name === 'help') {
    (name === '' ? process.stderr : process.stdout).write(overview());
    return name === '' ? status.usage : 0;
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) {
    throw new Failure(`no command '${name}'; there are ${Object.keys(commands).join(', ')}`, status.usage);
  }
  const given = parseOptions(args, { ...command.options, help: { help: 'print this' } });
  if (given.on['help']) {
    process.stdout.write(helpOf(name, command));
    return 0;
  }
  endWithNpm();
  return command.start(given);
}

// Whoever read the output is gone (lab run ... | head): there is nobody left to run for.
process.stdout.on('error', () => process.exit(128 + 13));

try {
  // Standard input may still be open, which would keep this process alive.
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  say(error.message);
  process.exitCode = error.exitStatus;
}
