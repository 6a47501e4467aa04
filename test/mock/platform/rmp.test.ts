/** The reverse map table: entries of two sizes, and what turns one into the other. */

import { describe, expect, test } from 'vitest';
import { PAGES_2M, Rmp } from '../../../lib/mock/platform/snp/rmp.ts';

const BASE = 4 * PAGES_2M;

describe('RMP', () => {
  test('a page is its guest’s until it is shared', () => {
    const rmp = new Rmp();
    expect(rmp.assign(BASE + 3, 0x103, 7, '4K')).toBeUndefined();
    expect(rmp.lookup(BASE + 3)).toEqual({ asid: 7, gfnOffset: 0x103 - BASE - 3, size: '4K' });
    expect([rmp.lookup(BASE + 2), rmp.lookup(BASE + 4), rmp.assigned]).toEqual([undefined, undefined, 1]);
    expect(rmp.assign(BASE + 3, 0x103, 8, '4K')).toBe('FAIL_OVERLAP');
    expect(rmp.share(BASE + 3, '4K')).toBeUndefined();
    expect([rmp.lookup(BASE + 3), rmp.assigned]).toEqual([undefined, 0]);
  });

  test('a large entry takes 2 MiB that are free, and no other', () => {
    const rmp = new Rmp();
    rmp.assign(BASE + 1, 1, 7, '4K');
    expect(rmp.isFree2M(BASE + 9)).toBe(false);
    expect(rmp.assign(BASE + 9, 9, 7, '2M')).toBe('FAIL_OVERLAP');
    rmp.share(BASE + 1, '4K');
    expect(rmp.isFree2M(BASE + 9)).toBe(true);
    expect(rmp.assign(BASE + 9, 9, 7, '2M')).toBeUndefined();
    expect([rmp.assigned, rmp.lookup(BASE)?.size, rmp.lookup(BASE + PAGES_2M)]).toEqual([512, '2M', undefined]);
  });

  test('PSMASH makes 512 of one; RMPUPDATE of a part before it overlaps', () => {
    const rmp = new Rmp();
    rmp.assign(BASE, 0, 7, '2M');
    expect(rmp.share(BASE + 5, '4K')).toBe('FAIL_OVERLAP');
    expect(rmp.smash(BASE + 5)).toBeUndefined();
    expect(rmp.smash(BASE + 5)).toBe('FAIL_INUSE');
    expect(rmp.share(BASE + 5, '4K')).toBeUndefined();
    expect([rmp.assigned, rmp.lookup(BASE + 5), rmp.lookup(BASE + 6)?.size]).toEqual([511, undefined, '4K']);
  });

  test('a large entry is taken back as a whole', () => {
    const rmp = new Rmp();
    for (const i of [0, 1]) rmp.assign(BASE + i * PAGES_2M, i * PAGES_2M, 7, '2M');
    expect(rmp.share(BASE + 5, '2M')).toBeUndefined();
    expect([rmp.assigned, rmp.lookup(BASE + 511), rmp.lookup(BASE + 512)?.size]).toEqual([512, undefined, '2M']);
  });

  test('one page of a large entry leaves the others in small ones', () => {
    const rmp = new Rmp();
    for (const i of [0, 1]) rmp.assign(BASE + i * PAGES_2M, i * PAGES_2M, 7, '2M');
    expect(rmp.shareRange(BASE, BASE + PAGES_2M + 1)).toBe(true);
    expect([rmp.assigned, rmp.lookup(BASE + PAGES_2M + 1)?.size]).toEqual([511, '4K']);
  });

  test('a range that cuts two large entries leaves small ones on both sides', () => {
    const rmp = new Rmp();
    for (const i of [0, 1]) rmp.assign(BASE + i * PAGES_2M, i * PAGES_2M, 7, '2M');
    expect(rmp.shareRange(BASE + 100, BASE + PAGES_2M + 100)).toBe(true);
    expect([rmp.assigned, rmp.lookup(BASE)?.size, rmp.lookup(BASE + PAGES_2M + 100)?.size]).toEqual([512, '4K', '4K']);
  });

  test('taking back a range smashes the entries it cuts, and only those', () => {
    const rmp = new Rmp();
    for (const i of [0, 1, 2]) rmp.assign(BASE + i * PAGES_2M, i * PAGES_2M, 7, '2M');
    expect(rmp.shareRange(BASE + 500, BASE + PAGES_2M)).toBe(true);
    expect([rmp.lookup(BASE)?.size, rmp.lookup(BASE + 500), rmp.lookup(BASE + 512)?.size]).toEqual([
      '4K',
      undefined,
      '2M',
    ]);
    expect(rmp.shareRange(BASE + PAGES_2M, BASE + 3 * PAGES_2M)).toBe(true);
    expect([rmp.assigned, rmp.shareRange(BASE + PAGES_2M, BASE + 3 * PAGES_2M)]).toEqual([500, false]);
  });
});
