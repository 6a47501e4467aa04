/** The second-level page table by itself: entries of each size, what replaces what, and invalidations under way. */

import { describe, expect, test } from 'vitest';
import { mapsPage, Stage2, type Translation } from '../../lib/mock/kvm/stage2.ts';
import { Folio } from '../../lib/mock/memory.ts';
import type { PageRange } from '../../lib/mock/ranges.ts';

const M2 = 512;
const G1 = 512 * 512;
const KIND = { writable: true, private: false };
const folio = new Folio(7);

const page = (gfn: number): Translation => mapsPage(gfn, folio, KIND);
const large = (start: number, pages: number): Translation => ({
  gfns: { start, end: start + pages },
  folio: () => folio,
  used: () => [],
  ...KIND,
});
const covered = (table: Stage2): PageRange[] => [...table.entries()].map(({ gfns }) => gfns);

describe('entries', () => {
  test('are of a page, 2 MiB or 1 GiB, found by any page they cover, and counted', () => {
    const table = new Stage2();
    expect(table.size).toBe(0);
    for (const one of [page(0), page(7), large(3 * M2, M2), large(2 * G1, G1)]) expect(table.install(one)).toBe(true);
    expect(table.size).toBe(4);
    expect(covered(table)).toEqual([
      { start: 2 * G1, end: 3 * G1 },
      { start: 3 * M2, end: 4 * M2 },
      { start: 0, end: 1 },
      { start: 7, end: 8 },
    ]);
    expect(table.get(3 * G1 - 1)?.gfns.start).toBe(2 * G1);
    expect(table.get(3 * M2 + 1)?.gfns.start).toBe(3 * M2);
    expect([table.get(3 * G1), table.get(4 * M2), table.get(8)]).toEqual([undefined, undefined, undefined]);
  });

  test('take the place of what they cover, and of what covers them', () => {
    const table = new Stage2();
    table.install(page(M2 - 1));
    table.install(page(M2));
    table.install(page(2 * M2));
    table.install(large(M2, M2));
    expect(covered(table).map(({ start }) => start)).toEqual([M2, M2 - 1, 2 * M2]);
    table.install(page(M2 + 5));
    expect(covered(table).map(({ start }) => start)).toEqual([M2 - 1, M2 + 5, 2 * M2]);
  });

  test('go as a whole where a range has a part of them, and nothing beside', () => {
    const table = new Stage2();
    for (const start of [0, M2, 2 * M2]) table.install(large(start, M2));
    table.install(page(4 * M2));
    expect(table.zap({ start: M2 + 1, end: M2 + 2 }).map(({ gfns }) => gfns.start)).toEqual([M2]);
    expect(table.zap({ start: 3 * M2, end: 4 * M2 })).toEqual([]);
    expect(table.zap({ start: 0, end: 4 * M2 + 1 }, ({ gfns }) => gfns.start > 0).length).toBe(2);
    expect(covered(table)).toEqual([{ start: 0, end: M2 }]);
  });
});

describe('invalidations', () => {
  test('hold off what they cover together, until all of them have ended', () => {
    const table = new Stage2();
    expect(table.install(page(0))).toBe(true);
    table.beginInvalidation({ start: 10, end: 12 });
    expect([9, 10, 11, 12].map((gfn) => table.install(page(gfn)))).toEqual([true, false, false, true]);
    table.beginInvalidation({ start: 20, end: 21 });
    expect([9, 10, 15, 20, 21].map((gfn) => table.install(page(gfn)))).toEqual([true, false, false, false, true]);
    table.endInvalidation({ start: 10, end: 12 });
    expect(table.install(page(10))).toBe(false);
    table.endInvalidation({ start: 20, end: 21 });
    expect([10, 15, 20].map((gfn) => table.install(page(gfn)))).toEqual([true, true, true]);
    // What was held off before is nothing to the next one.
    table.beginInvalidation({ start: 30, end: 31 });
    expect([20, 25, 30].map((gfn) => table.install(page(gfn)))).toEqual([true, true, false]);
  });

  test('end as they began', () => {
    const never = /ends that never began/;
    expect(() => new Stage2().endInvalidation({ start: 0, end: 1 })).toThrow(never);
    const table = new Stage2();
    table.beginInvalidation({ start: 1, end: 3 });
    expect(() => table.endInvalidation({ start: 2, end: 3 })).toThrow(never);
  });
});
