// @ts-check
import { Failure, status } from '../host/failure.mjs';
import { execute } from './execute.mjs';
import { machineOptions } from './machine-options.mjs';

/** @type {import('./command.mjs').Command} */
export const run = {
  usage: '[OPTION...] -- COMMAND...',
  summary: "run a command as root in a kernel, over this machine's files; they stay as they are",
  options: { ...machineOptions, stdin: { help: "the command reads this one's standard input (else it has none)" } },
  notes: `status: the command's own; ${status.timedOut} time ran out; ${status.kernelFailed} the kernel failed (panic, oops, WARN, hang) or
QEMU did; ${status.usage} wrong usage. The kernel's log is printed for the failures of the kernel.`,
  async start(given) {
    if (given.rest.length === 0) throw new Failure('run what? lab run [OPTION...] -- COMMAND...', status.usage);
    return execute(given, {
      command: given.rest,
      out: process.stdout,
      err: process.stderr,
      ...(given.on['stdin'] ? { input: process.stdin } : {}),
    });
  },
};
