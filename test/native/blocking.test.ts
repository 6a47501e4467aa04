/** Threads that block in an ioctl when the thread or the process they belong to ends, and garbage for arguments. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { loadAddon } from '../../lib/syscalls/addon.ts';
import { missingFor } from '../contract/missing.ts';
import { type End, processSource, workerSource } from './blocking-program.ts';

const missing = missingFor('native');

describe.skipIf(missing !== undefined)(missing === undefined ? 'blocking' : `blocking: ${missing}`, () => {
  const { path } = missing === undefined ? loadAddon() : { path: '' };

  describe('a worker is terminated while three vCPUs', () => {
    test.each<readonly [string, End]>([
      ['block', 'wait'],
      ['block and it is busy', 'spin'],
      ['are being interrupted', 'churn'],
      ['have come back', 'idle'],
    ])('%s', async (_, end) => {
      for (let round = 0; round < 5; round++) {
        const worker = new Worker(workerSource, { eval: true, workerData: { path, end } });
        expect(await once(worker, 'message')).toEqual(['told']);
        expect(ownThreads()).toHaveLength(3);
        expect(await worker.terminate()).toBe(1);
        // They have been joined; the kernel takes them out of the list a little later.
        while (ownThreads().length > 0) await new Promise(setImmediate);
        expect([...kvmFiles(), ...vcpuMappings()]).toEqual([]);
      }
    });
  });

  describe('a process ends while three vCPUs block', () => {
    test.each<readonly [string, End, number | null, string | null]>([
      ['by process.exit', 'exit', 7, null],
      ['by an error', 'throw', 1, null],
      ['when they have come back and nothing else is left', 'return', 0, null],
      ['by a signal', 'wait', null, 'SIGTERM'],
    ])('%s', async (_, end, code, signal) => {
      const child = spawn(process.execPath, ['-e', processSource(path, end)], { stdio: ['ignore', 'pipe', 'ignore'] });
      const exit = once(child, 'exit');
      await once(child.stdout, 'data');
      if (signal !== null) child.kill();
      expect(await exit).toEqual([code, signal]);
    });
  });

  const GARBAGE: readonly unknown[] = [
    undefined,
    null,
    true,
    -1,
    1.5,
    2 ** 32,
    Number.NaN,
    5n,
    'text',
    {},
    Symbol('no'),
  ];
  const EXCEPT_BIGINT = GARBAGE.filter((value) => typeof value !== 'bigint');
  const wrong = expect.toSatisfy((error) => error instanceof TypeError || error instanceof RangeError);

  test('garbage is a TypeError or a RangeError in every place', () => {
    const { addon } = loadAddon();
    const valid: unknown[] = [1_000_000, 0xae80, 4096n, () => {}];
    const call = (name: 'ioctlBlocking' | 'interrupt', given: unknown[]) =>
      (addon[name] as (...args: unknown[]) => void)(...given);
    for (let place = 0; place < valid.length; place++) {
      for (const garbage of place === 2 ? [...EXCEPT_BIGINT, -1n, 2n ** 64n] : GARBAGE) {
        expect(() => call('ioctlBlocking', valid.with(place, garbage))).toThrow(wrong);
      }
    }
    for (const garbage of GARBAGE) expect(() => call('interrupt', [garbage])).toThrow(wrong);
    for (const name of ['ioctlBlocking', 'interrupt'] as const) expect(() => call(name, [])).toThrow(TypeError);
    // A request with a struct, and an address where nothing was mapped.
    expect(() => call('ioctlBlocking', valid.with(1, 0xc040aed4))).toThrow(RangeError);
    expect(() => call('ioctlBlocking', valid)).toThrow(RangeError);
    call('interrupt', [1_000_000]);
    expect(ownThreads()).toEqual([]);
  });
});

/** What the process has open of KVM, by name. */
function kvmFiles(): string[] {
  const files = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      // The listing itself, closed since.
      return '';
    }
  });
  return files.filter((file) => file.includes('kvm'));
}

/** The names of the threads that block for an fd. */
function ownThreads(): string[] {
  const names = readdirSync('/proc/self/task').map((id) => {
    try {
      return readFileSync(`/proc/self/task/${id}/comm`, 'utf8');
    } catch {
      // It has ended since it was listed.
      return '';
    }
  });
  return names.filter((name) => name.startsWith('gmem-fd-'));
}

function vcpuMappings(): string[] {
  return readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .filter((line) => line.includes('kvm-vcpu'));
}
