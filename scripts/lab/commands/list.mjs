// @ts-check
import { join } from 'node:path';
import { openCache } from '../host/cache.mjs';
import { Failure, status } from '../host/failure.mjs';
import { withLock } from '../host/lock.mjs';
import { listKernels, listNames, removeCache, removeKernel } from '../kernel/store.mjs';

/** @type {import('./command.mjs').Command} */
export const list = {
  usage: '',
  summary: 'the kernels that are built',
  options: {},
  async start() {
    const cache = openCache();
    const names = [...listNames(cache)];
    for (const { id, release, source, patches } of listKernels(cache).sort((a, b) => a.built - b.built)) {
      const called = names.filter(([, named]) => named === id).map(([name]) => name);
      const from = /^[0-9a-f]{64}$/.test(source) ? 'a tree of yours' : source;
      const more = patches.length === 0 ? '' : ` and ${patches.length} patch${patches.length === 1 ? '' : 'es'}`;
      process.stdout.write(`${called.join(', ') || '-'}\t${id}\tLinux ${release}\tfrom ${from}${more}\n`);
    }
    process.stdout.write(`in ${join(cache.root)}\n`);
    return 0;
  },
};

/** @type {import('./command.mjs').Command} */
export const clean = {
  usage: 'NAME... | --unnamed | --all',
  summary: 'remove kernels',
  options: {
    unnamed: { help: 'those without a name' },
    all: { help: 'everything the lab keeps: kernels, sources, logs' },
  },
  async start(given) {
    const cache = openCache();
    if (given.rest.length === 0 && !given.on['all'] && !given.on['unnamed']) {
      throw new Failure(`remove what? lab clean ${clean.usage}`, status.usage);
    }
    return withLock(cache.lock, async () => {
      if (given.on['all']) {
        removeCache(cache);
        return 0;
      }
      const [kernels, names] = [listKernels(cache), listNames(cache)];
      for (const name of given.rest) {
        const id = names.get(name) ?? kernels.find((kernel) => kernel.id === name)?.id;
        if (id === undefined) throw new Failure(`no kernel named '${name}'; lab list shows what there is`);
        removeKernel(cache, id);
      }
      const named = new Set(names.values());
      if (given.on['unnamed']) for (const { id } of kernels) if (!named.has(id)) removeKernel(cache, id);
      return 0;
    });
  },
};
