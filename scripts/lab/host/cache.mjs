// @ts-check
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/**
 * The folder everything the lab keeps is in: $XDG_CACHE_HOME/guest-memfd/lab. A relative XDG_CACHE_HOME counts as
 * unset, as the XDG base directory specification says.
 * @param {NodeJS.ProcessEnv} [env]
 */
export function cacheFolder(env = process.env) {
  const given = env['XDG_CACHE_HOME'];
  const base = given !== undefined && isAbsolute(given) ? given : join(env['HOME'] ?? homedir(), '.cache');
  return join(base, 'guest-memfd', 'lab');
}

/**
 * @typedef {object} Cache
 * @property {string} root
 * @property {string} apt       apt's state for the one suite, apart from the machine's
 * @property {string} sources   unpacked sources, one folder a version; never changed after
 * @property {string} kernels   finished kernels, one folder an id
 * @property {string} names     NAME -> id, one small file each
 * @property {string} work      the one tree that is being built
 * @property {string} logs      logs of builds, finished or not
 * @property {string} initramfs
 * @property {string} lock
 */

/**
 * @param {string} [root]
 * @returns {Cache}
 */
export function openCache(root = cacheFolder()) {
  const at = (/** @type {string} */ name) => join(root, name);
  return {
    root,
    apt: at('apt'),
    sources: at('sources'),
    kernels: at('kernels'),
    names: at('names'),
    work: at('work'),
    logs: at('logs'),
    initramfs: at('initramfs'),
    lock: at('lock'),
  };
}
