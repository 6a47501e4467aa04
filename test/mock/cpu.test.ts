import { describe, expect, test } from 'vitest';
import { Cpu, resetState } from '../../lib/mock/cpu/index.ts';
import { walk } from '../../lib/mock/cpu/paging.ts';

const PRESENT = 1n;
const LARGE = 0x80n;

/** Tables by where each entry lies. */
const tables = (entries: Record<number, bigint>) => (at: bigint) => entries[Number(at)] ?? 0n;

describe('the page walk', () => {
  const upper = { 4096: 0x2000n | PRESENT, 8192: 0x3000n | PRESENT, 12288: 0x4000n | PRESENT };

  test('4 KiB', () => {
    const load = tables({ ...upper, 16392: 0x7_7000n | PRESENT });
    expect(walk(0x1000n, 0x1abcn, load)).toBe(0x7_7abcn);
  });

  test('2 MiB', () => {
    const load = tables({ ...upper, 12296: 0x60_0000n | PRESENT | LARGE });
    expect(walk(0x1000n, 0x20_0000n + 0x1_2345n, load)).toBe(0x61_2345n);
  });

  test('1 GiB', () => {
    const load = tables({ ...upper, 8200: 0x8000_0000n | PRESENT | LARGE });
    expect(walk(0x1000n, 0x4000_0000n + 0x123_4567n, load)).toBe(0x8123_4567n);
  });

  test('all nine bits of every level count, and flags and CR3 low bits do not', () => {
    const at = (table: number, index: number) => table + index * 8;
    const load = tables({
      [at(0x1000, 0x1ff)]: 0x2000n | PRESENT | 0x62n,
      [at(0x2000, 0x101)]: 0x3000n | PRESENT,
      [at(0x3000, 0x002)]: 0x4000n | PRESENT,
      [at(0x4000, 0x0ff)]: (1n << 63n) | 0x5000n | PRESENT,
    });
    const virtual = (0x1ffn << 39n) | (0x101n << 30n) | (2n << 21n) | (0xffn << 12n) | 0x10n;
    expect(walk(0x1018n, (0xffffn << 48n) | virtual, load)).toBe(0x5010n);
  });

  test.each([0x1000, 0x2000, 0x3000, 0x4008])('nothing where the entry at %d is not present', (missing) => {
    const load = tables({ ...upper, 16392: 0x7_7000n | PRESENT, [missing]: 0xffff_f000n | LARGE });
    expect(walk(0x1000n, 0x1000n, load)).toBeUndefined();
  });
});

/** Memory of 4 pages; pages in `closed` stop the CPU with their number. */
function machine(program: readonly number[], regs: Partial<Cpu<number>['regs']>) {
  const bytes = new Uint8Array(0x4000);
  bytes.set(program);
  const closed = new Set<number>();
  const blocked = (gpa: bigint) =>
    closed.has(Number(gpa >> 12n)) ? { moved: 0, exit: Number(gpa >> 12n) } : undefined;
  const memory = {
    read: (gpa: bigint, into: Uint8Array) => {
      into.set(bytes.subarray(Number(gpa), Number(gpa) + into.length));
      return blocked(gpa) ?? { moved: into.length };
    },
    write: (gpa: bigint, from: Uint8Array) => {
      const stopped = blocked(gpa);
      if (!stopped) bytes.set(from, Number(gpa));
      return stopped ?? { moved: from.length };
    },
  };
  const reset = resetState();
  Object.assign(reset.sregs.cs, { base: 0n });
  const cpu = new Cpu<number>(memory, { ...reset.regs, rip: 0n, ...regs }, reset.sregs);
  return { bytes, closed, cpu };
}

describe('REP', () => {
  test('stops at a page with what is left in the registers, and goes on from there', () => {
    const { cpu, bytes, closed } = machine([0xf3, 0xaa, 0xf4], { rax: 0x5an, rdi: 0x1ff0n, rcx: 0x20n });
    closed.add(2);
    expect(cpu.run()).toEqual({ kind: 'memory', exit: 2, during: 'access', byte: 0x5a });
    expect(cpu.regs).toMatchObject({ rip: 0n, rdi: 0x2000n, rcx: 0x10n });
    expect(cpu.run()).toMatchObject({ exit: 2 });
    closed.clear();
    expect(cpu.run()).toEqual({ kind: 'hlt' });
    expect(cpu.regs).toMatchObject({ rip: 3n, rdi: 0x2010n, rcx: 0n });
    expect([...new Set(bytes.subarray(0x1ff0, 0x2010))]).toEqual([0x5a]);
    expect([bytes[0x1fef], bytes[0x2010]]).toEqual([0, 0]);
  });

  test('a copy stops at either side', () => {
    const { cpu, bytes, closed } = machine([0xf3, 0xa4, 0xf4], { rsi: 0x1000n, rdi: 0x2ff8n, rcx: 0x10n });
    bytes.set([1, 2, 3, 4, 5, 6, 7, 8, 9], 0x1000);
    closed.add(1);
    expect(cpu.run()).toMatchObject({ kind: 'memory', exit: 1 });
    expect(cpu.regs.rcx).toBe(0x10n);
    closed.clear();
    closed.add(3);
    expect(cpu.run()).toEqual({ kind: 'memory', exit: 3, during: 'access', byte: 9 });
    expect(cpu.regs).toMatchObject({ rsi: 0x1008n, rdi: 0x3000n, rcx: 8n });
    closed.clear();
    expect(cpu.run()).toEqual({ kind: 'hlt' });
    expect(bytes.subarray(0x2ff8, 0x3001)).toEqual(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9));
  });

  test('of nothing does nothing', () => {
    const { cpu, closed } = machine([0xf3, 0xaa, 0xf4], { rdi: 0x1000n });
    closed.add(1);
    expect(cpu.run()).toEqual({ kind: 'hlt' });
    expect(cpu.regs).toMatchObject({ rip: 3n, rdi: 0x1000n });
  });

  test('a byte that was moved outside counts: a write is gone, a read is stored', () => {
    const write = machine([0xf3, 0xaa, 0xf4], { rdi: 0x3000n, rcx: 2n });
    write.closed.add(3);
    write.cpu.run();
    expect(write.cpu.finishMmio(undefined)).toBeUndefined();
    expect(write.cpu.regs).toMatchObject({ rip: 0n, rdi: 0x3001n, rcx: 1n });
    write.cpu.finishMmio(undefined);
    expect(write.cpu.regs).toMatchObject({ rip: 2n, rcx: 0n });

    const read = machine([0xf3, 0xa4, 0xf4], { rsi: 0x3000n, rdi: 0x1000n, rcx: 1n });
    read.closed.add(3);
    read.cpu.run();
    read.cpu.finishMmio(0x77);
    expect(read.bytes[0x1000]).toBe(0x77);
    expect(read.cpu.regs).toMatchObject({ rip: 2n, rsi: 0x3001n, rdi: 0x1001n, rcx: 0n });
  });

  test('a byte that was read outside may have nowhere to go', () => {
    const { cpu, closed } = machine([0xf3, 0xa4, 0xf4], { rsi: 0x3000n, rdi: 0x2000n, rcx: 1n });
    closed.add(3).add(2);
    expect(cpu.run()).toMatchObject({ exit: 3 });
    expect(cpu.finishMmio(0x77)).toEqual({ kind: 'memory', exit: 2, during: 'access', byte: 0x77 });
    expect(cpu.regs).toMatchObject({ rip: 0n, rcx: 1n });
  });
});

describe('the CPU says what it stopped at', () => {
  test('code, tables and the unknown', () => {
    const fetch = machine([0xf4], {});
    fetch.closed.add(0);
    expect(fetch.cpu.run()).toMatchObject({ kind: 'memory', during: 'fetch' });
    const tables = machine([0xf4], {});
    tables.cpu.sregs.cr0 |= 1n << 31n;
    tables.cpu.sregs.cr3 = 0x1000n;
    expect(tables.cpu.run()).toEqual({ kind: 'triple-fault' });
    tables.closed.add(1);
    expect(tables.cpu.run()).toMatchObject({ kind: 'memory', during: 'walk' });
    expect(machine([0x0f, 0x0b, 0x12], {}).cpu.run()).toEqual({
      kind: 'unknown',
      bytes: Uint8Array.of(0x0f, 0x0b, 0x12),
    });
    expect(machine([0xeb, 0xfe], {}).cpu.run()).toEqual({ kind: 'spinning' });
    expect(machine([0x90, 0xeb, 0x01, 0xff, 0xf4], {}).cpu.run()).toEqual({ kind: 'hlt' });
  });
});
