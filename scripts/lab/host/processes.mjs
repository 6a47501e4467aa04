// @ts-check
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { Failure } from './failure.mjs';

/**
 * Runs "$@" in a process group of its own for as long as fd 3 stays open at the other end. Whatever ends the lab, even
 * SIGKILL, closes that pipe, and the group is killed whole: compilers and QEMU cannot be left behind.
 */
const LIFELINE = `"$@" 3<&- &
child=$!
{ read -r _ <&3; kill -KILL -$$; } >/dev/null 2>&1 &
watcher=$!
exec 3<&-
wait $child
ended=$?
kill -KILL $watcher 2>/dev/null
exit $ended`;

/**
 * @typedef {object} Tied
 * @property {import('node:child_process').ChildProcess} child
 * @property {Promise<number>} ended  its status; 128 + N when a signal ended it
 * @property {() => void} kill        kills the group
 */

/**
 * Starts a program that cannot outlive this process.
 * @param {string[]} command
 * @param {{ stdio?: import('node:child_process').StdioOptions, cwd?: string, env?: NodeJS.ProcessEnv }} [options]
 *   stdio from fd 4 on goes in as it is; fd 3 is the lifeline
 * @returns {Tied}
 */
export function startTied(command, { stdio = ['ignore', 'pipe', 'pipe'], cwd, env } = {}) {
  const given = Array.isArray(stdio) ? [...stdio] : [stdio, stdio, stdio];
  given.splice(3, 0, 'pipe');
  const child = spawn('/bin/sh', ['-c', LIFELINE, 'lab', ...command], {
    stdio: given,
    detached: true,
    ...(cwd === undefined ? {} : { cwd }),
    ...(env === undefined ? {} : { env }),
  });
  const kill = () => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // The group has ended already.
    }
  };
  child.stdio[3]?.on('error', () => {});
  /** @type {Promise<number>} */
  const ended = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => {
      kill(); // Only what the shell left behind when it was killed itself.
      resolve(code ?? 137);
    });
  });
  return { child, ended, kill };
}

/**
 * What a program printed.
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv }} [options]
 */
export function capture(command, args, options = {}) {
  const result = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 28, ...options });
  if (result.error !== undefined) throw new Failure(`cannot run ${command}: ${result.error.message}`);
  if (result.status !== 0) {
    throw new Failure(`${[command, ...args].join(' ')} ended with status ${result.status}:\n${result.stderr.trim()}`);
  }
  return result.stdout;
}

/**
 * Where a program is, or undefined.
 * @param {string} name
 * @param {string} [path]
 */
export function findProgram(name, path = process.env['PATH'] ?? '') {
  for (const folder of [...path.split(delimiter), '/usr/sbin', '/sbin', '/usr/bin', '/bin']) {
    if (folder === '') continue;
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}
