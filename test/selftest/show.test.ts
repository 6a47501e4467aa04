import { describe, expect, it } from 'vitest';
import { bytesDifference, show } from '../../lib/selftest/show.ts';

describe('show', () => {
  it.each([
    [3, '3'],
    [4096, '4096 (0x1000)'],
    [4096n, '4096n (0x1000)'],
    [-22, '-22'],
    [1.5, '1.5'],
    ['text', "'text'"],
    [undefined, 'undefined'],
    [{ offset: 1n }, '{ offset: 1n }'],
    [Uint8Array.of(0, 171), '2 bytes: 00 ab'],
    [new Uint8Array(4096), `4096 bytes: ${'00 '.repeat(16)}...`],
  ])('%o', (value, text) => {
    expect(show(value)).toBe(text);
  });
});

describe('bytesDifference', () => {
  const zeros = new Uint8Array(8192);
  const changed = zeros.with(4096, 0xaa).with(4098, 0xbb);

  it('has nothing to say of equal bytes', () => {
    expect(bytesDifference(zeros, zeros.slice())).toBeUndefined();
  });

  it('shows the first difference with its offset, and how many there are', () => {
    expect(bytesDifference(changed, zeros)).toEqual([
      'first difference at offset 4096 (0x1000); 2 of 8192 bytes differ',
      'wanted 00 00 00 00 00 00 00 00 ...',
      'got    aa 00 bb 00 00 00 00 00 ...',
    ]);
  });

  it('tells a length from a content', () => {
    expect(bytesDifference(zeros.subarray(0, 3), zeros.subarray(0, 4))).toEqual(['wanted 4 bytes, got 3']);
    expect(bytesDifference(Uint8Array.of(1), Uint8Array.of(2, 3))?.[0]).toBe('wanted 2 bytes, got 1');
  });
});
