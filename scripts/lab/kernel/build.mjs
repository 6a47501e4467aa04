// @ts-check
import { rmSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { Failure, say } from '../host/failure.mjs';
import { withLock } from '../host/lock.mjs';
import { openLog } from '../host/logged.mjs';
import { forBuilding, forRunning, installPackages } from '../host/packages.mjs';
import { elapsed } from '../host/progress.mjs';
import { compile } from './compile.mjs';
import { readLabConfig } from './config.mjs';
import { fetchedSource, fetchSource } from './debian.mjs';
import { digestFolder, openFolder } from './folder.mjs';
import { chooseDonor, identify } from './identity.mjs';
import { findPatches, readPatches } from './patches.mjs';
import { checkName, DEFAULT_NAME, entries, listKernels, nameKernel, readKernel } from './store.mjs';
import { keepKernel, prepareTree } from './tree.mjs';

/** @typedef {import('../host/cache.mjs').Cache} Cache */

/**
 * @typedef {object} BuildRequest
 * @property {string} [source]   a kernel tree
 * @property {string} [patches]  a folder of patches
 * @property {string} [config]   a config fragment
 * @property {string} [name]
 * @property {number} [jobs]
 * @property {boolean} [update]  look for a newer Debian source
 * @property {string} from       folder that paths are relative to
 */

/**
 * The kernel asked for, built unless it is there.
 * @param {Cache} cache
 * @param {BuildRequest} request
 * @param {readonly import('../host/packages.mjs').Requirement[]} [requirements]
 * @returns {Promise<{ record: import('./identity.mjs').KernelRecord, name: string, fresh: boolean }>}
 */
export async function build(cache, request, requirements = [...forRunning, ...forBuilding]) {
  const name = checkName(request.name ?? defaultName(request));
  const plan = planBuild(cache, request);
  const there = request.update || plan === undefined ? undefined : readKernel(cache, plan.id);
  if (there !== undefined) {
    nameKernel(cache, name, there.id);
    return { record: there, name, fresh: false };
  }
  return withLock(cache.lock, async () => {
    removeLeftovers(cache);
    await installPackages(requirements, join(cache.logs, 'packages.log'));
    if (request.source === undefined && (request.update || fetchedSource(cache) === undefined)) {
      await fetchSource(cache, join(cache.logs, 'source.log'));
    }
    const now = planBuild(cache, request);
    if (now === undefined) throw new Failure('the source that was just fetched is gone; run it again');
    // Another lab may have built it while this one waited.
    const built = readKernel(cache, now.id);
    const record = built ?? (await buildPlanned(cache, request, now));
    nameKernel(cache, name, record.id);
    return { record, name, fresh: built === undefined };
  });
}

/** @param {BuildRequest} request */
function defaultName({ source, patches, config, from }) {
  const given = patches ?? source ?? config;
  if (given === undefined) return DEFAULT_NAME;
  return (
    basename(resolve(from, given))
      .replace(/[^\w.+-]/g, '-')
      .replace(/^[^A-Za-z0-9]+/, '') || 'custom'
  );
}

/**
 * @param {Cache} cache
 * @param {BuildRequest} request
 */
function planBuild(cache, request) {
  const { from } = request;
  const patches = readPatches(request.patches === undefined ? undefined : findPatches(request.patches, from));
  const config = readLabConfig(request.config === undefined ? undefined : resolve(from, request.config));
  const folder = request.source === undefined ? undefined : openFolder(request.source, from);
  const source = folder === undefined ? fetchedSource(cache) : digestFolder(folder);
  if (source === undefined) return undefined;
  const identity = {
    source,
    ...(folder === undefined || patches.length > 0 ? {} : { folder }),
    patches: patches.map((patch) => patch.digest),
    config: config.digest,
  };
  return { id: identify(identity), identity, origin: folder ?? join(cache.sources, source), patches, config };
}

/**
 * @param {Cache} cache
 * @param {BuildRequest} request
 * @param {NonNullable<ReturnType<typeof planBuild>>} plan
 */
async function buildPlanned(cache, request, plan) {
  const begun = Date.now();
  const { id, identity, config } = plan;
  const log = openLog(join(cache.logs, `${id}.log`));
  const donor = chooseDonor(listKernels(cache), identity);
  say(`building ${id}${donor === undefined ? '' : ` from the objects of ${donor.id}`}; the log is ${log.file}`);
  const tree = await prepareTree(cache, { ...plan, donor }, log);
  // The release tells kernels apart in `uname -r` and in logs; the unpatched one keeps its plain version.
  const suffix = identity.patches.length > 0 || request.source !== undefined ? `-${id.slice(0, 8)}` : '';
  const release = await compile(tree, { config, suffix, jobs: request.jobs, image: join(cache.work, 'bzImage') }, log);
  if (request.source !== undefined && digestFolder(plan.origin) !== identity.source) {
    throw new Failure(`${plan.origin} changed while it was being built; run it again`);
  }
  const seconds = Math.round((Date.now() - begun) / 1000);
  const record = { id, release, ...identity, seconds, built: Date.now() };
  keepKernel(cache, record);
  say(`built Linux ${release} in ${elapsed(seconds * 1000)}`);
  return record;
}

/**
 * What killed labs left in the middle of something. Called with the lock held.
 * @param {Cache} cache
 */
function removeLeftovers(cache) {
  for (const name of entries(cache.root)) {
    if (/^(removed-|name\.)/.test(name)) rmSync(join(cache.root, name), { recursive: true, force: true });
  }
  for (const name of entries(cache.sources)) {
    if (name.endsWith('.partial')) rmSync(join(cache.sources, name), { recursive: true, force: true });
  }
}
