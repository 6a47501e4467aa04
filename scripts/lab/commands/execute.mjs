// @ts-check
import { openCache } from '../host/cache.mjs';
import { say } from '../host/failure.mjs';
import { forRunning, requirePackages } from '../host/packages.mjs';
import { ensureInitramfs } from '../machine/initramfs.mjs';
import { modulesFrom } from '../machine/modules.mjs';
import { pciIds } from '../machine/qemu.mjs';
import { guestEnvironment } from '../machine/script.mjs';
import { startSession } from '../machine/session.mjs';
import { judge } from '../machine/verdict.mjs';
import { machineFrom } from './machine-options.mjs';

/**
 * @typedef {object} Execution
 * @property {string[]} command
 * @property {NodeJS.WritableStream} out
 * @property {NodeJS.WritableStream} err
 * @property {NodeJS.ReadableStream} [input]
 * @property {{ rows: number, columns: number }} [terminal] an interactive terminal of this size
 * @property {number} [timeout] seconds, in place of the options'
 * @property {(running: import('../machine/session.mjs').Running) => void} [started]
 */

/**
 * Runs a command in a machine as the options say, and reports what went wrong.
 * @param {import('../options.mjs').Given} given
 * @param {Execution} execution
 * @returns {Promise<number>} the status to exit with
 */
export async function execute(given, { command, out, err, input, terminal, timeout: limit, started }) {
  const cache = openCache();
  requirePackages(forRunning);
  const { machine, modules, cwd, timeout, allowWarnings, showLog, asked } = machineFrom(given, cache, {
    terminal: terminal !== undefined,
  });
  const time = limit ?? timeout;
  const orders = {
    command,
    cwd,
    env: guestEnvironment(process.env, asked),
    keep: machine.keep,
    vfio: pciIds(machine.devices),
    terminal: terminal !== undefined,
    input: input !== undefined,
    size: terminal,
  };
  const initramfs = ensureInitramfs(cache.initramfs, modules === undefined ? [] : modulesFrom(modules));
  const running = startSession(
    { machine, orders, initramfs, timeout: time },
    {
      out,
      err,
      ...(input === undefined ? {} : { input }),
      ...(showLog ? { log: (line) => process.stderr.write(`${line}\n`) } : {}),
    },
  );
  started?.(running);
  const outcome = await running.outcome;
  const verdict = judge(outcome, { timeout: time, allowWarnings });
  const lines = outcome.log.relevant();
  if (verdict.showLog && !showLog && lines.length > 0) {
    process.stderr.write(`--- kernel log\n${lines.join('\n')}\n--- end of kernel log\n`);
  }
  if (verdict.why !== undefined) say(verdict.why);
  return verdict.status;
}
