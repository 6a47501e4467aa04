/** Huge pages in the mock's own terms: what is split and merged, what is mapped how, and what it costs. */

import { expect, test } from 'vitest';
import * as abi from '../../lib/abi/index.ts';
import { boot, GPA, PAGE } from './machine.ts';

const M2 = 512;
const G1 = 512 * 512;
const INIT_PRIVATE = 3n;
const flagsOf = (size: abi.HugePageSize, flags: bigint): bigint => flags | abi.hugePageFlags(size);

type Booted = ReturnType<typeof boot>;

const counter = ({ syscalls }: Booted, size: abi.HugePageSize, name: abi.HugePageCounter): number => {
  const fd = syscalls.openSync(abi.hugePageFile(size, name), abi.O_RDONLY);
  const bytes = new Uint8Array(32);
  const length = syscalls.readSync(fd, bytes);
  syscalls.closeSync(fd);
  return Number(new TextDecoder().decode(bytes.subarray(0, length)));
};

const steps = ({ controls }: Booted): unknown[] =>
  controls.journal.entries.map(({ step, start, end }) => `${step} ${start}..${end}`);

test('a 4 KiB conversion in a 1 GiB page splits it, back merges it, and neither costs by the page', () => {
  const mock = boot({ kernel: 'rfc-v2', pages: G1, flags: flagsOf('1G', INIT_PRIVATE) });
  const { guest, convert, controls, syscalls, address } = mock;
  expect(guest.write(GPA + BigInt(7 * PAGE), Uint8Array.of(7)).ok).toBe(true);
  controls.journal.clear();
  const begin = process.memoryUsage().heapUsed;
  expect(convert(7, 1, 'shared')).toBe(0);
  expect(steps(mock)).toEqual([
    `invalidate-begin 0..${G1}`,
    'unmap-stage2 1048583..1048584',
    'set-shareability 7..8',
    `split-folio 0..${G1}`,
    `invalidate-end 0..${G1}`,
  ]);
  const byte = new Uint8Array(1);
  expect(syscalls.copyOutSync(address + BigInt(7 * PAGE), byte)).toBe(1);
  expect(byte[0]).toBe(7);
  expect(syscalls.copyOutSync(address + BigInt(8 * PAGE), byte)).toBe(-abi.errno.EFAULT);
  controls.journal.clear();
  expect(convert(7, 1, 'private')).toBe(0);
  expect(steps(mock)).toEqual([
    `invalidate-begin 0..${G1}`,
    'unmap-stage2 1048583..1048584',
    'unmap-host 7..8',
    'check-references 7..8',
    'set-shareability 7..8',
    `merge-folio 0..${G1}`,
    `invalidate-end 0..${G1}`,
  ]);
  expect(process.memoryUsage().heapUsed - begin).toBeLessThan(4_000_000);
  expect(guest.read(GPA + BigInt(7 * PAGE), 1)).toEqual({ ok: true, bytes: Uint8Array.of(7) });
});

test('counters: reserved at creation, taken at allocation, given back by a hole and by close', () => {
  const mock = boot({ kernel: 'rfc-v2', pages: 2 * M2, flags: flagsOf('2M', 1n), hugePages: { '2M': 10 } });
  const counts = () =>
    (['nr_hugepages', 'free_hugepages', 'resv_hugepages'] as const).map((name) => counter(mock, '2M', name));
  expect(counts()).toEqual([10, 10, 2]);
  mock.syscalls.copyInSync(mock.address, Uint8Array.of(1));
  expect(counts()).toEqual([10, 9, 1]);
  expect(mock.punch(0, M2)).toBe(0);
  expect(counts()).toEqual([10, 10, 2]);
});

test('the files of the pools lie in directories, and nr_hugepages takes a number', () => {
  const mock = boot({ kernel: 'rfc-v2', pages: M2, flags: flagsOf('2M', 1n), hugePages: { '2M': 3, '1G': 0 } });
  const { syscalls } = mock;
  const root = '/sys/kernel/mm/hugepages';
  expect(syscalls.readDirectorySync(root)).toEqual(['hugepages-2048kB', 'hugepages-1048576kB']);
  expect(syscalls.readDirectorySync(`${root}/hugepages-2048kB`)).toEqual([...abi.hugePageCounters]);
  expect(syscalls.readDirectorySync(`${root}/hugepages-4kB`)).toBe(-abi.errno.ENOENT);
  expect(syscalls.readDirectorySync('/dev/kvm')).toBe(-abi.errno.ENOTDIR);
  expect(syscalls.readLinkSync(root)).toBe(-abi.errno.EINVAL);
  const fd = syscalls.openSync(abi.hugePageFile('2M', 'nr_hugepages'), abi.O_RDWR);
  const write = (text: string) => syscalls.writeSync(fd, new TextEncoder().encode(text));
  expect([write('many'), write('7\n')]).toEqual([-abi.errno.EINVAL, 2]);
  expect(counter(mock, '2M', 'free_hugepages')).toBe(7);
  // What a file was promised stays.
  expect(write('0')).toBe(1);
  expect([counter(mock, '2M', 'nr_hugepages'), counter(mock, '2M', 'resv_hugepages')]).toEqual([1, 1]);
});
