/** The addon in worker threads: several at once, and ended at any moment. */

import { once } from 'node:events';
import { readFileSync, writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { addonPath, missing } from './addon.ts';
import { openFiles } from './open-files.ts';
import { type Held, type WorkerData, workerSource } from './worker-program.ts';

const start = (job: WorkerData['job'], name = 'worker-test') =>
  new Worker(workerSource, { eval: true, workerData: { path: addonPath(), job, name } satisfies WorkerData });

describe.skipIf(missing !== undefined)(missing === undefined ? 'workers' : `workers: ${missing}`, () => {
  test('four load it at once and call', async () => {
    const before = openFiles();
    const workers = Array.from({ length: 4 }, () => start('count'));
    const exits = workers.map((worker) => once(worker, 'exit'));
    const told = await Promise.all(workers.map((worker) => once(worker, 'message')));
    expect(told).toEqual(workers.map(() => ['done']));
    expect(await Promise.all(exits)).toEqual(workers.map(() => [0]));
    expect(openFiles()).toEqual(before);
  });

  test('one that calls without pause is terminated', async () => {
    for (let i = 0; i < 5; i++) {
      const worker = start('spin');
      await once(worker, 'message');
      expect(await worker.terminate()).toBe(1);
    }
  });

  test('one that is terminated ends its race', async () => {
    const before = openFiles();
    const name = `raced-by-worker-${process.pid}`;
    const worker = start('race', name);
    expect(await once(worker, 'message')).toEqual(['racing']);
    expect(await worker.terminate()).toBe(1);
    expect(openFiles()).toEqual(before);
    expect(readFileSync('/proc/self/maps', 'utf8')).not.toContain(name);
  });

  test('one that is terminated gives back its files and mappings, after the batch in flight', async () => {
    const before = openFiles();
    const name = `held-by-worker-${process.pid}`;
    const workers = Array.from({ length: 3 }, () => start('hold', name));
    const held = (await Promise.all(workers.map((worker) => once(worker, 'message')))).map(
      ([message]) => message as Held,
    );
    expect(openFiles().filter((target) => target.includes(name))).toHaveLength(6);
    expect(readFileSync('/proc/self/maps', 'utf8')).toContain(name);

    let ended = 0;
    const endings = workers.map((worker) => worker.terminate().then(() => ended++));
    await new Promise((done) => setTimeout(done, 50));
    expect(ended, 'ended before the call in flight').toBe(0);
    for (const { eventfd } of held) writeSync(eventfd, new Uint8Array(new BigUint64Array([1n]).buffer));
    await Promise.all(endings);

    expect(openFiles()).toEqual(before);
    expect(readFileSync('/proc/self/maps', 'utf8')).not.toContain(name);
  });
});
