/**
 * What the workers of these tests run. Worker threads take no TypeScript on the oldest Node that is supported, so it
 * is the source of a function that needs nothing from outside; it uses the addon's exports as they are.
 */

import type { MessagePort } from 'node:worker_threads';
import type { Addon } from '../../lib/syscalls/addon.ts';

export interface WorkerData {
  readonly path: string;
  /**
   * spin: makes calls until it is terminated; hold: opens files and leaves a batch in flight; race: opens one and leaves
   * a race on it; count: makes 20,000.
   */
  readonly job: 'spin' | 'hold' | 'race' | 'count';
  /** For the names of its memfds. */
  readonly name: string;
}

/** What a worker that holds files tells of them. */
export interface Held {
  readonly eventfd: number;
}

function program(addon: Addon, { job, name }: WorkerData, port: MessagePort): void {
  const code = (call: string) => addon.calls.indexOf(call);
  const record = (call: string, fd: number, words: Record<number, number>, doubles: Record<number, number>) => {
    const records = new Float64Array(6);
    const words32 = new Int32Array(records.buffer);
    words32.set([code(call), fd], 0);
    words32[10] = -1;
    for (const [at, value] of Object.entries(words)) words32[Number(at)] = value;
    for (const [at, value] of Object.entries(doubles)) records[Number(at)] = value;
    return records;
  };
  const run = (records: Float64Array, buffers: Uint8Array[] = []): number => {
    addon.run(records, 1, buffers);
    return records[0] as number;
  };
  const text = new TextEncoder().encode(`${name}\0`);
  const memfd = () => record('memfdCreate', -1, { 10: 0 }, {});
  const check = () => addon.ioctl(1_000_000, 0xc040aed4, new Uint8Array(64));

  if (job === 'count') {
    for (let i = 0; i < 20_000; i++) if (check() !== -9) throw new Error('another answer');
    for (let i = 0; i < 200; i++) run(record('close', run(memfd(), [text]), {}, {}));
    port.postMessage('done');
  } else if (job === 'spin') {
    port.postMessage('spinning');
    for (;;) check();
  } else if (job === 'race') {
    const file = run(memfd(), [text]);
    const program = [record('mmap', file, { 2: 1, 3: 1 }, { 2: 65536 }), 1, []] as const;
    addon.race([program, program, program], 3_600_000, 2 ** 52, () => port.postMessage('not expected'));
    port.postMessage('racing');
  } else {
    const file = run(memfd(), [text]);
    run(record('ftruncate', file, {}, {}));
    run(record('dup', file, {}, {}));
    // Mapped shared and readable, 64 KiB.
    run(record('mmap', file, { 2: 1, 3: 1 }, { 2: 65536 }));
    const eventfd = run(record('eventfd', -1, {}, {}));
    // The first call of the batch waits for somebody to write; the second makes one more file after that.
    const batch = new Float64Array(12);
    batch.set(record('read', eventfd, { 10: 0 }, {}), 0);
    batch.set(record('memfdCreate', -1, { 10: 1 }, {}), 6);
    addon.submit(batch, 2, [new Uint8Array(8), text], () => port.postMessage('not expected'));
    port.postMessage({ eventfd });
    setInterval(() => {}, 1000);
  }
}

export const workerSource = `
  const { parentPort, workerData } = require('node:worker_threads');
  (${program.toString()})(require(workerData.path), workerData, parentPort);
`;
