/** Races, on ordinary files: what is counted, what is noticed, what is refused. */

import { describe, expect, onTestFinished, test } from 'vitest';
import {
  errno,
  GUEST_MEMFD_FLAG_INIT_SHARED,
  GUEST_MEMFD_FLAG_MMAP,
  KVM_CREATE_GUEST_MEMFD,
  KVM_CREATE_VM,
} from '../../lib/abi/index.ts';
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  MAP_SHARED,
  O_RDWR,
  PAGE_SIZE,
  PROT_READ,
  PROT_WRITE,
} from '../../lib/abi/linux.ts';
import { createMock } from '../../lib/mock/index.ts';
import { openBackend } from '../../lib/syscalls/open.ts';
import { PARTLY, type RaceProgram, type RaceResult } from '../../lib/syscalls/race.ts';
import type { Syscalls } from '../../lib/syscalls/seam.ts';
import { missing } from '../native/addon.ts';

const PAGES = 4;
const SIZE = PAGES * PAGE_SIZE;
const LIMITS = { milliseconds: 20_000, steps: 400, seed: 7 };
const UNTIL_LOST = { ...LIMITS, steps: 200_000 };
const HOLE = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE;

const backends = [
  { name: 'native', make: () => openBackend('native'), open: memfd, lacks: missing },
  { name: 'mock', make: () => createMock({ kernel: 'linux-6.18' }).syscalls, open: guestMemfd, lacks: undefined },
] as const;

function memfd(syscalls: Syscalls): number {
  const fd = syscalls.memfdCreateSync('race', 0);
  syscalls.ftruncateSync(fd, BigInt(SIZE));
  return fd;
}

/** The mock's memfd knows no fallocate. */
function guestMemfd(syscalls: Syscalls): number {
  const system = syscalls.openSync('/dev/kvm', O_RDWR);
  const vm = syscalls.ioctlFdSync(system, KVM_CREATE_VM.request, 0);
  const { request, struct } = KVM_CREATE_GUEST_MEMFD;
  const flags = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED;
  const fd = syscalls.ioctlFdSync(vm, request, struct.encode({ size: SIZE, flags }));
  syscalls.closeSync(vm);
  syscalls.closeSync(system);
  return fd;
}

interface Files {
  readonly syscalls: Syscalls;
  readonly fd: number;
  readonly address: bigint;
}

function files({ make, open }: (typeof backends)[number]): Files {
  const syscalls = make();
  const fd = open(syscalls);
  const address = syscalls.mmapSync(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0n);
  expect(address).toBeGreaterThan(0n);
  onTestFinished(() => {
    syscalls.munmapSync(address, SIZE);
    syscalls.closeSync(fd);
    syscalls.dispose();
  });
  return { syscalls, fd, address };
}

const page = (byte: number): Uint8Array => new Uint8Array(PAGE_SIZE).fill(byte);
const uses = (address: bigint, first: number, second: number, zeroWillDo = false): RaceProgram => [
  { call: 'copyIn', address, bytes: page(first) },
  { call: 'copyOut', address, length: PAGE_SIZE, zeroWillDo },
  { call: 'copyIn', address, bytes: page(second) },
  { call: 'copyOut', address, length: PAGE_SIZE, zeroWillDo },
];

async function run({ syscalls }: Files, programs: readonly RaceProgram[], limits = LIMITS): Promise<RaceResult[]> {
  const results = await syscalls.race(programs, limits);
  if (typeof results === 'number') throw new Error(`the race answered ${results}`);
  return [...results];
}

const outcomes = ({ tallies }: RaceResult): number[] => [...new Set(tallies.map(({ outcome }) => outcome))].sort();

for (const backend of backends) {
  const { name, make, lacks } = backend;
  describe.skipIf(lacks !== undefined)(lacks === undefined ? name : `${name}: ${lacks}`, () => {
    test('each worker makes its steps, and finds what it wrote', async () => {
      const f = files(backend);
      const programs = [0, 1, 2].map((at) => uses(f.address + BigInt(at * PAGE_SIZE), at + 1, at + 11));
      const results = await run(f, programs);
      for (const [i, result] of results.entries()) {
        expect(result.steps).toBe(LIMITS.steps);
        expect(result.lost).toBeUndefined();
        expect(result.tallies).toEqual([0, 1, 2, 3].map((step) => ({ step, outcome: 0, count: 100 })));
        expect(result.memory).toEqual([{ address: f.address + BigInt(i * PAGE_SIZE), bytes: page(i + 11) }]);
      }
    });

    test('a byte that another wrote is noticed, and ends the race', async () => {
      const f = files(backend);
      const results = await run(f, [uses(f.address, 1, 2), uses(f.address, 3, 4)], UNTIL_LOST);
      const lost = results.find((result) => result.lost)?.lost;
      expect(lost?.wanted).not.toBe(lost?.found);
      expect([1, 3]).toContain(lost?.step);
      for (const result of results) expect(result.steps).toBeLessThan(UNTIL_LOST.steps);
    });

    test('a hole is noticed, unless zero will do', async () => {
      const f = files(backend);
      const punch: RaceProgram = [{ call: 'fallocate', fd: f.fd, mode: HOLE, offset: 0n, length: BigInt(PAGE_SIZE) }];
      const [strict] = await run(f, [uses(f.address, 1, 2), punch], UNTIL_LOST);
      expect(strict?.lost).toMatchObject({ found: 0 });
      const [lenient, punched] = await run(f, [uses(f.address, 1, 2, true), punch]);
      expect(lenient?.lost).toBeUndefined();
      expect(outcomes(punched as RaceResult)).toEqual([0]);
    });

    test('mappings come and go, and say when a page cannot be touched', async () => {
      const f = files(backend);
      const map = { call: 'mmap', prot: PROT_READ, flags: MAP_SHARED, fd: f.fd, offset: 0n } as const;
      const [result] = await run(f, [
        [
          { ...map, length: SIZE },
          { ...map, length: 2 * SIZE },
          { ...map, length: 0 },
        ],
      ]);
      const found = result?.tallies.map(({ step, outcome }) => [step, outcome]);
      expect(found).toEqual([
        [0, 0],
        [1, PARTLY],
        [2, -errno.EINVAL],
      ]);
    });

    test('a refusal is counted by its errno, and by the word that was asked for', async () => {
      const f = files(backend);
      const { request, struct } = KVM_CREATE_GUEST_MEMFD;
      const step = { call: 'ioctl', fd: f.fd, request, struct: struct.encode({ size: 5n, flags: 77n }) } as const;
      const [result] = await run(f, [[step, { ...step, wordAt: 8 }, { ...step, fdAt: 4 }]]);
      const refused = { outcome: -errno.ENOTTY };
      expect(result?.tallies.map(({ count, ...rest }) => rest)).toEqual([
        { step: 0, ...refused },
        { step: 1, ...refused, word: 77n },
      ]);
      expect(result?.steps).toBe(LIMITS.steps);
    });

    test('the time ends it, too', async () => {
      if (name === 'mock') return expect(make().backend).toBe('mock');
      const f = files(backend);
      const [result] = await run(f, [uses(f.address, 1, 2)], { ...LIMITS, milliseconds: 20, steps: 2 ** 40 });
      expect(result?.steps).toBeGreaterThan(0);
    });

    test('an fd that is not open is EBADF', async () => {
      const f = files(backend);
      const punch = { call: 'fallocate', fd: 1_000_000, mode: 0, offset: 0n, length: 1n } as const;
      expect(await f.syscalls.race([[punch]], LIMITS)).toBe(-errno.EBADF);
    });

    test('the fd may be closed meanwhile, the memory not unmapped', async () => {
      const f = files(backend);
      const copy = f.syscalls.dupSync(f.fd);
      const allocate = {
        call: 'fallocate',
        fd: copy,
        mode: FALLOC_FL_KEEP_SIZE,
        offset: 0n,
        length: BigInt(PAGE_SIZE),
      } as const;
      const racing = run(f, [[allocate], uses(f.address, 1, 2)]);
      await f.syscalls.close(copy);
      expect(() => f.syscalls.munmapSync(f.address, SIZE)).toThrow('of a race in this mapping');
      const [allocated] = await racing;
      expect(outcomes(allocated as RaceResult)).toEqual([0]);
    });

    test.each<[string, unknown, unknown?]>([
      ['no list', 5],
      ['no program', []],
      ['a program that is none', [5]],
      ['an empty program', [[]]],
      ['a step that is none', [[null]]],
      ['a call that is none of a race', [[{ call: 'read' }]]],
      ['a misspelt key', [[{ call: 'close', fdd: 1 }]]],
      ['an ioctl without a struct', [[{ call: 'ioctl', fd: 0, request: 0xae80, struct: new Uint8Array(8) }]]],
      ['a struct that is too small', [[{ call: 'ioctl', fd: 0, request: 0xc040_aed4, struct: new Uint8Array(63) }]]],
      ['a word outside', [[{ call: 'ioctl', fd: 0, request: 0xc040_aed4, struct: new Uint8Array(64), wordAt: 57 }]]],
      ['an fd outside', [[{ call: 'ioctl', fd: 0, request: 0xc040_aed4, struct: new Uint8Array(64), fdAt: -1 }]]],
      ['memory of somebody else', [[{ call: 'copyOut', address: 4096n, length: 1 }]]],
      ['nothing to copy', [[{ call: 'copyIn', address: 4096n, bytes: new Uint8Array(0) }]]],
      ['MAP_FIXED', [[{ call: 'mmap', length: 1, prot: 1, flags: 0x11, fd: 0, offset: 0n }]]],
      ['too large a mapping', [[{ call: 'mmap', length: 2 ** 40, prot: 1, flags: 1, fd: 0, offset: 0n }]]],
      ['no limits', [[{ call: 'close' }]], null],
      ['a limit below 0', [[{ call: 'close' }]], { ...LIMITS, milliseconds: -1 }],
      ['no steps', [[{ call: 'close' }]], { ...LIMITS, steps: 0 }],
    ])('%s is wrong use', async (_what, programs, limits = LIMITS) => {
      const { syscalls } = files(backend);
      const error = await syscalls.race(programs as never, limits as never).catch((thrown: unknown) => thrown);
      expect(error).toSatisfy((thrown) => thrown instanceof TypeError || thrown instanceof RangeError);
    });
  });
}

test('ffi has no threads to race with', async () => {
  const syscalls = openBackend('ffi');
  onTestFinished(() => syscalls.dispose());
  await expect(syscalls.race([[{ call: 'close' }]], LIMITS)).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED' });
});
