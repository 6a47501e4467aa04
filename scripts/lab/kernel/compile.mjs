// @ts-check
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { say, Unavailable } from '../host/failure.mjs';
import { checkHeld, parseConfig, printConfig } from './config.mjs';

/** @typedef {import('../host/logged.mjs').Log} Log */
/** @typedef {import('./tree.mjs').Tree} Tree */

const COMPILED = /^\s+(CC|AS|HOSTCC|LD|AR|GEN)\s/;

/** What would change what is built is kept out; who built it and when is no part of the kernel. */
function kbuildEnvironment() {
  const { PATH, HOME, TMPDIR } = process.env;
  return {
    PATH,
    HOME,
    TMPDIR,
    LC_ALL: 'C',
    KBUILD_BUILD_USER: 'lab',
    KBUILD_BUILD_HOST: 'lab',
    KBUILD_BUILD_VERSION: '1',
    KBUILD_BUILD_TIMESTAMP: 'Thu Jan  1 00:00:00 UTC 1970',
  };
}

/**
 * Writes the .config: the smallest one there is, and the lab's fragments over it.
 * @param {Tree} tree
 * @param {import('./config.mjs').LabConfig} config
 * @param {Log} log
 */
async function configure(tree, config, log) {
  const env = kbuildEnvironment();
  const file = join(tree.objects, '.config');
  const make = ['make', '-s', '-C', tree.source, `O=${tree.objects}`];
  await log.run('configuring', [...make, 'tinyconfig'], { env });
  const settings = parseConfig(readFileSync(file, 'utf8'), file);
  for (const [name, value] of config.merged) settings.set(name, value);
  writeFileSync(file, printConfig(settings));
  await log.run('configuring', [...make, 'olddefconfig'], { env });
  const absent = checkHeld(config, parseConfig(readFileSync(file, 'utf8'), file));
  if (absent.length > 0) say(`this kernel does not have: ${absent.join(', ')}`);
}

/**
 * @param {Tree} tree
 * @param {object} options
 * @param {import('./config.mjs').LabConfig} options.config
 * @param {string} options.suffix  added to the release
 * @param {number | undefined} options.jobs
 * @param {string} options.image   where the bzImage goes
 * @param {Log} log
 * @returns {Promise<string>} the kernel's release, as uname -r prints it
 */
export async function compile(tree, { config, suffix, jobs = availableParallelism(), image }, log) {
  if (process.arch !== 'x64') throw new Unavailable(`builds x86-64 kernels, on x86-64 only (this is ${process.arch})`);
  await configure(tree, config, log);
  await log.run(
    'compiling',
    [
      'nice',
      '-n',
      '10',
      'make',
      `-j${jobs}`,
      '-C',
      tree.source,
      `O=${tree.objects}`,
      `LOCALVERSION=${suffix}`,
      'bzImage',
    ],
    { env: kbuildEnvironment(), counts: COMPILED, unit: 'files' },
  );
  copyFileSync(join(tree.objects, 'arch/x86/boot/bzImage'), image);
  return readFileSync(join(tree.objects, 'include/config/kernel.release'), 'utf8').trim();
}
