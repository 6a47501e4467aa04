// @ts-check
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { Failure, status } from '../host/failure.mjs';

/** @typedef {import('../host/cache.mjs').Cache} Cache */
/** @typedef {import('./identity.mjs').KernelRecord} KernelRecord */

/** The name `lab build` gives and `lab run` takes when none is given. */
export const DEFAULT_NAME = 'default';

/** @param {string} folder */
export const entries = (folder) => (existsSync(folder) ? readdirSync(folder) : []);

/**
 * @param {string} name
 * @returns {string} name
 */
export function checkName(name) {
  if (/^[A-Za-z0-9][\w.+-]*$/.test(name)) return name;
  throw new Failure(`not a kernel's name: '${name}' (letters, digits and . _ + - only)`, status.usage);
}

/**
 * @param {Cache} cache
 * @param {string} id
 */
export const kernelFolder = (cache, id) => join(cache.kernels, id);

/**
 * @param {Cache} cache
 * @param {string} id
 * @returns {KernelRecord | undefined}
 */
export function readKernel(cache, id) {
  try {
    return JSON.parse(readFileSync(join(kernelFolder(cache, id), 'kernel.json'), 'utf8'));
  } catch {
    return undefined;
  }
}

/**
 * @param {Cache} cache
 * @returns {KernelRecord[]}
 */
export function listKernels(cache) {
  return entries(cache.kernels).flatMap((id) => readKernel(cache, id) ?? []);
}

/**
 * @param {Cache} cache
 * @returns {Map<string, string>} name -> id
 */
export function listNames(cache) {
  return new Map(entries(cache.names).map((name) => [name, readFileSync(join(cache.names, name), 'utf8').trim()]));
}

/**
 * @param {Cache} cache
 * @param {string} name
 * @param {string} id
 */
export function nameKernel(cache, name, id) {
  if (listNames(cache).get(name) === id) return;
  mkdirSync(cache.names, { recursive: true });
  const fresh = join(cache.root, `name.${process.pid}`);
  writeFileSync(fresh, `${id}\n`);
  renameSync(fresh, join(cache.names, name));
}

/**
 * The file a kernel is booted from.
 * @param {Cache} cache
 * @param {string} given a name, an id or its beginning, or a bzImage's path
 * @param {string} from  folder a path is relative to
 */
export function findImage(cache, given, from) {
  const file = resolve(from, given);
  if (given.includes('/') || (!listNames(cache).has(given) && existsSync(file))) {
    if (existsSync(file)) return file;
    throw new Failure(`no kernel image at ${file}`);
  }
  const id =
    listNames(cache).get(given) ?? entries(cache.kernels).find((name) => given.length >= 4 && name.startsWith(given));
  const image = id === undefined ? undefined : join(kernelFolder(cache, id), 'bzImage');
  if (image !== undefined && existsSync(image)) return image;
  const names = [...listNames(cache).keys()];
  const known = names.length === 0 ? 'none is built yet' : `there are: ${names.join(', ')}`;
  const how = given === DEFAULT_NAME ? 'scripts/lab/lab build' : `scripts/lab/lab build --name ${given}`;
  throw new Failure(`no kernel named '${given}' (${known}); build it: ${how}, or give a bzImage's path`);
}

/**
 * Removes a kernel and what names it.
 * @param {Cache} cache
 * @param {string} id
 */
export function removeKernel(cache, id) {
  for (const [name, named] of listNames(cache)) if (named === id) rmSync(join(cache.names, name), { force: true });
  // Renamed first: a kernel is there whole or not at all, also when this is interrupted.
  const doomed = join(cache.root, `removed-${basename(id)}`);
  if (existsSync(kernelFolder(cache, id))) renameSync(kernelFolder(cache, id), doomed);
  rmSync(doomed, { recursive: true, force: true });
}

/**
 * Removes everything. The lock stays: another lab may be waiting for it.
 * @param {Cache} cache
 */
export function removeCache(cache) {
  for (const name of entries(cache.root)) {
    const file = join(cache.root, name);
    if (file !== cache.lock) rmSync(file, { recursive: true, force: true });
  }
}
