// @ts-check
import { existsSync } from 'node:fs';
import { say, Unavailable } from './failure.mjs';
import { openLog } from './logged.mjs';
import { findProgram } from './processes.mjs';

/**
 * @typedef {object} Requirement
 * @property {string} package   its name in Debian
 * @property {() => boolean} has
 */

const program = (/** @type {string} */ name) => () => findProgram(name) !== undefined;

/** @param {string} name */
const header = (name) => () =>
  ['/usr/include', `/usr/include/x86_64-linux-gnu`].some((folder) => existsSync(`${folder}/${name}`));

/** @type {readonly Requirement[]} */
export const forRunning = [
  { package: 'qemu-system-x86', has: program('qemu-system-x86_64') },
  { package: 'busybox-static', has: program('busybox') },
];

/** What a kernel without modules is built with. @type {readonly Requirement[]} */
export const forBuilding = [
  { package: 'bc', has: program('bc') },
  { package: 'bison', has: program('bison') },
  { package: 'flex', has: program('flex') },
  { package: 'gcc', has: program('gcc') },
  { package: 'libc6-dev', has: header('stdio.h') },
  { package: 'libelf-dev', has: header('gelf.h') },
  { package: 'libssl-dev', has: header('openssl/opensslv.h') },
  { package: 'make', has: program('make') },
  { package: 'patch', has: program('patch') },
  { package: 'perl', has: program('perl') },
  { package: 'xz-utils', has: program('xz') },
];

/**
 * @param {readonly Requirement[]} requirements
 * @returns {string[]}
 */
export function missingPackages(requirements) {
  return requirements.filter((requirement) => !requirement.has()).map((requirement) => requirement.package);
}

/** @param {string[]} missing */
function failure(missing) {
  const line = `apt-get install --no-install-recommends ${missing.join(' ')}`;
  return new Unavailable(
    `needs what the Debian package${missing.length === 1 ? '' : 's'} ${missing.join(', ')} hold${missing.length === 1 ? 's' : ''}; as root: ${line}`,
  );
}

/** @param {readonly Requirement[]} requirements */
export function requirePackages(requirements) {
  const missing = missingPackages(requirements);
  if (missing.length > 0) throw failure(missing);
}

/**
 * Installs what is missing where that is possible, which is as root on Debian and its derivatives.
 * @param {readonly Requirement[]} requirements
 * @param {string} logFile
 */
export async function installPackages(requirements, logFile) {
  const missing = missingPackages(requirements);
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0 || findProgram('apt-get') === undefined) throw failure(missing);
  say(`installing ${missing.join(', ')}`);
  const log = openLog(logFile);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' };
  const install = ['apt-get', 'install', '--yes', '--no-install-recommends', ...missing];
  try {
    await log.run('installing', install, { env });
  } catch {
    // The package lists may be absent, as in most container images, or older than the mirror's files.
    await log.run('updating the package lists', ['apt-get', 'update'], { env });
    await log.run('installing', install, { env });
  }
  requirePackages(requirements);
}
