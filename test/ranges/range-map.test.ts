import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RangeMap } from '../../lib/ranges/range-map.ts';

const PAGES = 400;
const change = fc.tuple(fc.nat(PAGES - 1), fc.integer({ min: 1, max: 60 }), fc.constantFrom('a', 'b', 'c'));

/** The same thing, one entry a page. */
function model(changes: readonly (readonly [number, number, string])[]): string[] {
  const pages = new Array<string>(PAGES).fill('a');
  for (const [start, length, value] of changes) pages.fill(value, start, Math.min(start + length, PAGES));
  return pages;
}

function build(changes: readonly (readonly [number, number, string])[]): RangeMap<string> {
  const map = new RangeMap('a');
  for (const [start, length, value] of changes) map.set(start, Math.min(start + length, PAGES), value);
  return map;
}

test('answers as a list with one entry a page does', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
      const map = build(changes);
      const pages = model(changes);
      expect(pages.map((_, page) => map.get(page))).toEqual(pages);
    }),
  );
});

test('knows whether a range is all of one value', () => {
  const span = fc.tuple(fc.nat(PAGES - 1), fc.nat(PAGES - 1));
  fc.assert(
    fc.property(fc.array(change, { maxLength: 20 }), span, fc.constantFrom('a', 'b', 'c'), (changes, [a, b], value) => {
      const [start, end] = [Math.min(a, b), Math.max(a, b)];
      const all = model(changes)
        .slice(start, end)
        .every((one) => one === value);
      expect(build(changes).isAll(start, end, value)).toBe(all);
    }),
  );
});

test('neighbouring runs differ, follow each other and are counted', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
      const map = build(changes);
      const runs = [...map.within(0, Number.POSITIVE_INFINITY)];
      expect(runs).toHaveLength(map.runs);
      for (const [i, run] of runs.entries()) {
        expect(run.start).toBe(i === 0 ? 0 : runs[i - 1]!.end);
        if (i > 0) expect(run.value).not.toBe(runs[i - 1]!.value);
      }
    }),
  );
});

test('within() clips to what was asked for', () => {
  const map = new RangeMap('a');
  map.set(10, 20, 'b');
  expect([...map.within(15, 25)]).toEqual([
    { start: 15, end: 20, value: 'b' },
    { start: 20, end: 25, value: 'a' },
  ]);
  expect([...map.within(5, 5)]).toEqual([]);
  expect(map.isAll(10, 20, 'b')).toBe(true);
  expect(map.isAll(10, 21, 'b')).toBe(false);
});

test('many runs, set in any order and swept away at once, leave one', () => {
  const map = new RangeMap(false);
  for (let i = 0; i < 5000; i++) map.set(((i * 7919) % 5000) * 2, ((i * 7919) % 5000) * 2 + 1, true);
  expect(map.runs).toBe(10_000);
  expect(map.get(4998 * 2)).toBe(true);
  expect(map.get(4998 * 2 + 1)).toBe(false);
  map.set(0, 20_000, false);
  expect(map.runs).toBe(1);
  map.set(0, 1, true);
  expect([map.get(0), map.get(1), map.runs]).toEqual([true, false, 2]);
});
