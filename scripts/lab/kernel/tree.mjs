// @ts-check
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { kernelFolder, readKernel } from './store.mjs';

/** @typedef {import('../host/cache.mjs').Cache} Cache */
/** @typedef {import('../host/logged.mjs').Log} Log */

/**
 * What a tree is made of.
 * @typedef {object} TreePlan
 * @property {string} id
 * @property {import('./identity.mjs').Identity} identity
 * @property {string} origin   folder the clean source is in
 * @property {import('./patches.mjs').Patch[]} patches
 * @property {import('./identity.mjs').KernelRecord | undefined} donor
 */

/**
 * @typedef {object} Tree
 * @property {string} source
 * @property {string} objects
 */

/**
 * The tree to build in, made anew or as an interrupted build left it. It is always made in the same place, because
 * kbuild records absolute paths in what it would compare on the next run; a finished one is moved away whole.
 * @param {Cache} cache
 * @param {TreePlan} plan
 * @param {Log} log
 * @returns {Promise<Tree>}
 */
export async function prepareTree(cache, plan, log) {
  const ready = join(cache.work, 'ready');
  const inPlace = plan.identity.folder !== undefined;
  const tree = {
    source: inPlace ? plan.origin : join(cache.work, 'src'),
    objects: join(cache.work, 'build'),
  };
  if (existsSync(ready) && readFileSync(ready, 'utf8') === plan.id) return tree;
  rmSync(cache.work, { recursive: true, force: true });
  mkdirSync(cache.work, { recursive: true });
  const donor = plan.donor === undefined ? undefined : kernelFolder(cache, plan.donor.id);
  if (!inPlace) {
    await copySource(cache, donor === undefined ? plan.origin : join(donor, 'src'), tree.source, log);
    await applyPatches(plan.patches.slice(plan.donor?.patches.length ?? 0), tree.source, cache.work, log);
  }
  if (donor === undefined) mkdirSync(tree.objects);
  // A true copy: kbuild rewrites some of these files in place.
  else await log.run('copying objects', ['cp', '-a', '--reflink=auto', join(donor, 'build'), tree.objects]);
  writeFileSync(ready, plan.id);
  return tree;
}

/**
 * Hard links are enough inside the cache: kbuild writes nothing into a source tree with O=, and patch(1) replaces files.
 * A folder of the user's is copied.
 * @param {Cache} cache
 * @param {string} from
 * @param {string} to
 * @param {Log} log
 */
async function copySource(cache, from, to, log) {
  if (from.startsWith(`${cache.root}/`)) {
    await log.run('linking the source', [
      'sh',
      '-c',
      'cp -al "$1" "$2" || { rm -rf "$2"; cp -a "$1" "$2"; }',
      'cp',
      from,
      to,
    ]);
    return;
  }
  mkdirSync(to);
  const pipeline = 'tar -C "$1" --exclude=./.git -cf - . | tar -C "$2" -xf -';
  await log.run('copying the source', ['sh', '-c', pipeline, 'copy', from, to]);
}

/**
 * @param {import('./patches.mjs').Patch[]} patches
 * @param {string} source
 * @param {string} work
 * @param {Log} log
 */
async function applyPatches(patches, source, work, log) {
  const file = join(work, 'patch');
  for (const [index, patch] of patches.entries()) {
    writeFileSync(file, patch.text, 'latin1');
    await log.run(
      `applying ${patch.name} (${index + 1} of ${patches.length})`,
      ['patch', '--strip=1', '--forward', '--batch', '--no-backup-if-mismatch', '--directory', source, '--input', file],
      // Set, it would make patch(1) write in place what is shared with other trees.
      { env: { ...process.env, PATCH_GET: '0', POSIXLY_CORRECT: undefined } },
    );
  }
}

/**
 * Moves the finished tree to where it stays.
 * @param {Cache} cache
 * @param {import('./identity.mjs').KernelRecord} record
 */
export function keepKernel(cache, record) {
  writeFileSync(join(cache.work, 'kernel.json'), `${JSON.stringify(record, null, 2)}\n`);
  rmSync(join(cache.work, 'ready'), { force: true });
  mkdirSync(cache.kernels, { recursive: true });
  if (readKernel(cache, record.id) === undefined)
    rmSync(kernelFolder(cache, record.id), { recursive: true, force: true });
  renameSync(cache.work, kernelFolder(cache, record.id));
}
