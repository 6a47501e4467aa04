import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { builtUrl } from '../host/support/built.ts';
import { realKernels, titleOf } from '../host/support/hosts.ts';
import { workerSource } from './worker.ts';

interface Options {
  readonly backend: string;
  readonly byte: number;
  readonly close: boolean;
}

function start(options: Options): Worker {
  const source = new URL(`data:text/javascript,${encodeURIComponent(workerSource(builtUrl('index.js')))}`);
  return new Worker(source, { workerData: options });
}

const firstMessage = async (worker: Worker): Promise<unknown> => (await once(worker, 'message'))[0];

/** The process's files that belong to KVM. */
function kvmFiles(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return /kvm|guest_memfd/.test(target) ? [target] : [];
    } catch {
      // The directory's own fd, closed since it was listed.
      return [];
    }
  });
}

const backends = [
  { name: 'mock', backend: 'mock', missing: undefined },
  ...realKernels.filter(({ name }) => name === 'native').map((real) => ({ ...real, backend: 'native' })),
];

for (const kernel of backends) {
  describe.skipIf(kernel.missing !== undefined)(`a host in a worker thread: ${titleOf(kernel)}`, () => {
    test('works in several at once', async () => {
      const workers = [1, 2, 3].map((byte) => start({ backend: kernel.backend, byte, close: true }));
      const exits = workers.map((worker) => once(worker, 'exit'));
      const answers = await Promise.all(workers.map(firstMessage));
      expect(answers).toEqual([1, 2, 3].map((byte) => ({ ready: true, byte, backend: kernel.backend, extension: 1 })));
      expect(await Promise.all(exits)).toEqual([[0], [0], [0]]);
      expect(kvmFiles()).toEqual([]);
    });

    test('leaves nothing open when the thread is terminated in the middle of calls', async () => {
      const worker = start({ backend: kernel.backend, byte: 9, close: false });
      expect(await firstMessage(worker)).toMatchObject({ ready: true, byte: 9, extension: 1 });
      expect(kvmFiles().length).toBe(kernel.backend === 'mock' ? 0 : 3);
      await worker.terminate();
      expect(kvmFiles()).toEqual([]);
    });
  });
}

test('ffi refuses a worker thread, where ffi-rs is not safe', async () => {
  const worker = start({ backend: 'ffi', byte: 1, close: true });
  const exit = once(worker, 'exit');
  expect(await firstMessage(worker)).toMatchObject({ failed: 'ERR_BACKEND_UNAVAILABLE' });
  await exit;
});
