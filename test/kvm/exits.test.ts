import { describe, expect, test } from 'vitest';
import type { Fields, Struct, StructIn } from '../../lib/abi/struct.ts';
import { exitData, KVM_RUN_EXIT, kvm_run } from '../../lib/abi/vcpu.ts';
import { decodeExit, describeExit, EXIT_BYTES } from '../../lib/kvm/exits.ts';

const EINTR = -4;
const EAGAIN = -11;
const EFAULT = -14;
const EHWPOISON = -133;

function area<F extends Fields>(exit_reason: number, type?: Struct<F>, values?: StructIn<F>): Uint8Array {
  const bytes = new Uint8Array(EXIT_BYTES).fill(0xee);
  bytes.set(kvm_run.encode({ exit_reason }));
  if (type && values) bytes.set(type.encode(values), KVM_RUN_EXIT);
  return bytes;
}

describe('an exit is decoded:', () => {
  test('io', () => {
    const out = { direction: 1, size: 2, port: 0x3f8, count: 3, data_offset: 0x1000 };
    expect(decodeExit(0, area(2, exitData.io, out))).toEqual({
      reason: 'io',
      write: true,
      size: 2,
      port: 0x3f8,
      count: 3,
      dataOffset: 0x1000,
    });
    expect(decodeExit(0, area(2, exitData.io, { ...out, direction: 0 }))).toMatchObject({ write: false });
  });

  test('mmio: a write has its bytes, a read as many zeros as it wants', () => {
    const data = [1, 2, 3, 4, 5, 6, 7, 8];
    const write = area(6, exitData.mmio, { phys_addr: 0xfee0_0000n, data, len: 4, is_write: 1 });
    const read = area(6, exitData.mmio, { phys_addr: 1n << 40n, data, len: 2, is_write: 0 });
    expect(decodeExit(0, write)).toEqual({
      reason: 'mmio',
      gpa: 0xfee0_0000n,
      write: true,
      data: Uint8Array.of(1, 2, 3, 4),
    });
    expect(decodeExit(0, read)).toEqual({ reason: 'mmio', gpa: 1n << 40n, write: false, data: Uint8Array.of(0, 0) });
  });

  test('hypercall', () => {
    const args = [1n, 2n, 3n, 0n, 0n, 0n];
    expect(decodeExit(0, area(3, exitData.hypercall, { nr: 5n, args }))).toEqual({ reason: 'hypercall', nr: 5n, args });
  });

  test.each([
    [0x10n, 'private'],
    [0x11n, 'private'],
    [0n, 'shared'],
    // Only the page size: a shared one.
    [1n, 'shared'],
  ] as const)('hypercall KVM_HC_MAP_GPA_RANGE with attributes %s: to %s', (attributes, to) => {
    const args = [0x10_0000n, 3n, attributes, 0n, 0n, 0n];
    expect(decodeExit(0, area(3, exitData.hypercall, { nr: 12n, args }))).toEqual({
      reason: 'hypercall',
      nr: 12n,
      args,
      mapGpaRange: { gpa: 0x10_0000n, size: 0x3000n, to },
    });
  });

  test('hlt and shutdown', () => {
    expect(decodeExit(0, area(5))).toEqual({ reason: 'hlt' });
    expect(decodeExit(0, area(8))).toEqual({ reason: 'shutdown' });
  });

  test('fail-entry', () => {
    const values = { hardware_entry_failure_reason: 0x8000_0021n, cpu: 3 };
    expect(decodeExit(0, area(9, exitData.fail_entry, values))).toEqual({
      reason: 'fail-entry',
      hardwareReason: 0x8000_0021n,
      cpu: 3,
    });
  });

  test('internal-error and system-event: as many words as are meant', () => {
    const words = { ndata: 2, data: [7n, 8n, 9n] };
    expect(decodeExit(0, area(17, exitData.internal, { suberror: 1, ...words }))).toEqual({
      reason: 'internal-error',
      suberror: 1,
      data: [7n, 8n],
    });
    expect(decodeExit(0, area(24, exitData.system_event, { type: 2, ...words }))).toEqual({
      reason: 'system-event',
      type: 2,
      data: [7n, 8n],
    });
    const nonsense = decodeExit(0, area(17, exitData.internal, { suberror: 1, ndata: 0xffff_ffff }));
    expect(nonsense).toMatchObject({ data: new Array(16).fill(0n) });
  });

  test.each([
    [EFAULT, 0n, false],
    [EFAULT, 8n, true],
    [EHWPOISON, 8n, true],
  ])('memory-fault, answer %d, flags %s', (errno, flags, isPrivate) => {
    const bytes = area(39, exitData.memory_fault, { flags, gpa: 0x5000n, size: 0x1000n });
    const exit = { reason: 'memory-fault', errno, private: isPrivate, flags, gpa: 0x5000n, size: 0x1000n };
    expect(decodeExit(errno, bytes)).toEqual(exit);
  });

  test('interrupted, whatever else stands there', () => {
    for (const answer of [EINTR, EAGAIN]) {
      for (const reason of [0, 10, 39]) expect(decodeExit(answer, area(reason))).toEqual({ reason: 'interrupted' });
    }
  });

  test('a reason nobody knows', () => {
    expect(decodeExit(0, area(0))).toEqual({ reason: 'other', exitReason: 0 });
    expect(decodeExit(0, area(0xffff_ffff))).toEqual({ reason: 'other', exitReason: 0xffff_ffff });
    // With a memory fault KVM_RUN itself fails.
    expect(decodeExit(0, area(39))).toEqual({ reason: 'other', exitReason: 39 });
  });

  test('nothing, where KVM_RUN failed without one', () => {
    for (const reason of [0, 2, 5, 6]) expect(decodeExit(EFAULT, area(reason))).toBeUndefined();
  });
});

test('an exit in one line', () => {
  const fault = {
    reason: 'memory-fault',
    errno: EFAULT,
    private: true,
    flags: 8n,
    gpa: 0x5000n,
    size: 0x1000n,
  } as const;
  expect(describeExit(fault)).toBe('memory-fault EFAULT (private access) at gpa 0x5000');
  expect(describeExit({ reason: 'mmio', gpa: 16n, write: false, data: new Uint8Array(1) })).toBe(
    'mmio read at gpa 0x10',
  );
  expect(describeExit({ reason: 'hlt' })).toBe('hlt');
  expect(describeExit({ reason: 'other', exitReason: 99 })).toBe('exit reason 99');
});
