/** A call leaves nothing behind: no fd, no mapping, no memory. */

import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { KVM_CREATE_GUEST_MEMFD } from '../../lib/abi/kvm.ts';
import { MAP_SHARED, PROT_READ, PROT_WRITE } from '../../lib/abi/linux.ts';
import { openBackend } from '../../lib/syscalls/open.ts';
import type { Syscalls } from '../../lib/syscalls/seam.ts';
import { missing } from './addon.ts';
import { openFiles } from './open-files.ts';

const NO_SUCH_FD = 1_000_000;
const PAGE = 4096;
const CALLS = 60_000;
/** What V8 counts may grow by 25 bytes a call: hardly more than the smallest thing that a call could forget. */
const MAY_GROW = 25 * CALLS;
/** The process as a whole is not as steady: the collector takes memory from the system, and gives it back, as it likes. */
const PROCESS_MAY_GROW = 16 * 1024 * 1024;
/** Enough to tell one forgotten op, some hundred bytes, from that. */
const MANY_CALLS = 200_000;
/** For jobs of two calls. */
const PAIRS = CALLS / 2;
/** As many in flight at a time. */
const BATCH = 1000;

type Job = (syscalls: Syscalls, file: number, address: bigint) => unknown;

const struct = new Uint8Array(KVM_CREATE_GUEST_MEMFD.struct.size);
const target = new Uint8Array(32);
const request = KVM_CREATE_GUEST_MEMFD.request;

const SYNCHRONOUS: readonly (readonly [times: number, name: string, job: Job])[] = [
  [CALLS, 'ioctl with a number', (s) => s.ioctlSync(NO_SUCH_FD, 0xae03, 0)],
  [CALLS, 'ioctl with a struct', (s) => s.ioctlSync(NO_SUCH_FD, request, struct)],
  [CALLS, 'ioctl with a new struct', (s) => s.ioctlSync(NO_SUCH_FD, request, new Uint8Array(64))],
  [CALLS, 'ioctl with a pointer', (s) => s.ioctlSync(NO_SUCH_FD, request, struct, [{ at: 8, to: target }])],
  [CALLS, 'fstat', (s, file) => s.fstatSync(file)],
  [PAIRS, 'pwrite and pread', (s, file) => s.pwriteSync(file, target, 0n) + s.preadSync(file, target, 0n)],
  [PAIRS, 'dup and close', (s, file) => s.closeSync(s.dupSync(file))],
  [PAIRS, 'eventfd and close', (s) => s.closeSync(s.eventfdSync(0, 0))],
  [PAIRS, 'copyIn and copyOut', (s, _, address) => s.copyInSync(address, target) + s.copyOutSync(address, target)],
  [PAIRS, 'mmap and munmap', (s, file) => s.munmapSync(s.mmapSync(PAGE, PROT_READ, MAP_SHARED, file, 0n), PAGE)],
  [
    CALLS,
    'a refused call',
    (s) => {
      try {
        s.ioctlSync(0, request, target);
      } catch (error) {
        return error;
      }
      return expect.unreachable();
    },
  ],
];

const ASYNCHRONOUS: typeof SYNCHRONOUS = [
  [MANY_CALLS, 'ioctl with a number', (s) => s.ioctl(NO_SUCH_FD, 0xae03, 0)],
  [MANY_CALLS, 'ioctl with a struct', (s) => s.ioctl(NO_SUCH_FD, request, new Uint8Array(64))],
  [
    MANY_CALLS,
    'ioctl with a pointer',
    (s) => s.ioctl(NO_SUCH_FD, request, struct, [{ at: 8, to: new Uint8Array(32) }]),
  ],
  [CALLS, 'fstat', (s, file) => s.fstat(file)],
  [CALLS, 'copyOut', (s, _, address) => s.copyOut(address, new Uint8Array(32))],
];

describe.skipIf(missing !== undefined)(missing === undefined ? 'leaks' : `leaks: ${missing}`, () => {
  test.each(SYNCHRONOUS)('synchronous, %i times: %s', async (times, _, job) => {
    await leavesNothing(times, async (calls, ...args) => {
      for (let i = 0; i < calls; i++) job(...args);
    });
  });

  test.each(ASYNCHRONOUS)('asynchronous, %i times: %s', async (times, _, job) => {
    await leavesNothing(times, async (calls, ...args) => {
      for (let done = 0; done < calls; done += BATCH) {
        await Promise.all(Array.from({ length: BATCH }, () => job(...args)));
      }
    });
  });

  test('small buffers stay where they are while the collector runs', async () => {
    const syscalls = openBackend('native');
    const file = syscalls.memfdCreateSync('leaks', 0);
    syscalls.pwriteSync(
      file,
      Uint8Array.from({ length: 16 }, (_, i) => i + 1),
      0n,
    );
    for (let round = 0; round < 20; round++) {
      // Small enough that V8 keeps them in its own heap until somebody asks for their address.
      const buffers = Array.from({ length: 200 }, () => new Uint8Array(16));
      const reads = buffers.map((bytes) => syscalls.pread(file, bytes, 0n));
      await Promise.resolve();
      collect();
      expect(new Set(await Promise.all(reads))).toEqual(new Set([16]));
      for (const bytes of buffers) expect(bytes[15]).toBe(16);
    }
    syscalls.closeSync(file);
  });
});

const collect = (() => {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
})();

/** The first calls pay for compiled code and for what allocators keep. */
async function leavesNothing(
  calls: number,
  work: (calls: number, ...args: Parameters<Job>) => Promise<void>,
): Promise<void> {
  const syscalls = openBackend('native');
  const file = syscalls.memfdCreateSync('leaks', 0);
  syscalls.ftruncateSync(file, BigInt(PAGE));
  const address = syscalls.mmapSync(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0n);
  await work(calls / 10, syscalls, file, address);
  const before = holdings();
  await work(calls, syscalls, file, address);
  const after = holdings();
  syscalls.munmapSync(address, PAGE);
  syscalls.closeSync(file);
  syscalls.dispose();

  expect(after.files).toEqual(before.files);
  expect(after.memfdMappings).toBe(before.memfdMappings);
  expect(after.external - before.external, 'external memory').toBeLessThan(MAY_GROW);
  expect(after.heap - before.heap, 'heap').toBeLessThan(MAY_GROW);
  expect(after.resident - before.resident, 'resident memory').toBeLessThan(PROCESS_MAY_GROW);
}

function holdings() {
  collect();
  const { external, rss, heapUsed } = process.memoryUsage();
  const maps = readFileSync('/proc/self/maps', 'utf8');
  return {
    files: openFiles(),
    memfdMappings: maps.split('memfd:leaks').length - 1,
    external,
    heap: heapUsed,
    resident: rss,
  };
}
