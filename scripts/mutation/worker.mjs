/**
 * Runs cases with one change in force at a time. The first round has none in force and notes which cases reach which
 * changes; of those, a change is shown the fast ones first, until one fails. What is reached while modules are loaded
 * (a constant) is in force from the start of a worker of its own: `from`.
 */

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const { directory, groups, from = -1 } = JSON.parse(process.argv[2]);

let active = from;
let reached = new Set();
globalThis.__mutant = (number) => {
  reached.add(number);
  return number === active;
};

const load = (path) => import(pathToFileURL(join(directory, 'dist', path)).href);
const { openHost } = await load('kvm/index.js');
const { hostOptions, runCase, select } = await load('selftest/index.js');
const { cases } = await load('selftest/cases/index.js');
const entries = select(cases);
const loaded = [...reached];
active = -1;

const open = (group) => openHost(hostOptions({ backend: 'mock', ...groups[group] }));

/** Real time passes in a few cases only, and on a busy machine a healthy one may take long. */
const TIMEOUT = 10_000;
// A broken mock may fail where nobody waits for it.
let stray;
const note = (error) => {
  stray ??= error;
};
process.on('unhandledRejection', note);
process.on('uncaughtException', note);

async function look(host, index, number) {
  stray = undefined;
  active = number;
  try {
    const { outcome } = await runCase(host, entries[index], { timeout: TIMEOUT });
    return stray ? 'stray' : outcome;
  } catch {
    return 'error';
  } finally {
    active = -1;
  }
}

async function survey() {
  const runs = [];
  for (const group of groups.keys()) {
    const host = await open(group);
    for (const [index, { title }] of entries.entries()) {
      reached = new Set();
      const began = performance.now();
      const outcome = await look(host, index, -1);
      if (outcome === 'skip') continue;
      if (outcome !== 'pass')
        throw new Error(`${title} fails with nothing broken, on ${JSON.stringify(groups[group])}`);
      runs.push({ group, index, title, ms: performance.now() - began, reached: [...reached] });
    }
    await host.close();
  }
  return runs;
}

/** The case that noticed; undefined where none did. */
async function trial(number, runs) {
  const hosts = new Map();
  try {
    for (const { group, index, title } of runs) {
      if (!hosts.has(group)) hosts.set(group, await open(group));
      process.send('going on');
      const outcome = await look(hosts.get(group), index, number);
      if (outcome !== 'pass') return `${title} (${groups[group].kernel}, ${groups[group].platform}): ${outcome}`;
    }
    return undefined;
  } finally {
    // What a change has left in disorder may not close any more.
    for (const host of hosts.values()) await host.close().catch(() => {});
  }
}

process.on('message', async (message) => {
  if (message === 'survey')
    process.send(
      await survey().then(
        (runs) => ({ loaded, runs }),
        ({ message: why }) => ({ why }),
      ),
    );
  else process.send({ noticed: (await trial(message.number, message.runs)) ?? null });
});
process.send('ready');
