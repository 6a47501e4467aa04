/** A range index against a plain list. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RangeIndex } from '../../lib/mock/range-index.ts';

const range = fc
  .tuple(fc.nat(60), fc.integer({ min: 1, max: 20 }))
  .map(([start, pages]) => ({ start, end: start + pages }));
const step = fc.oneof(
  range.map((added) => ({ added })),
  fc.nat(30).map((deleted) => ({ deleted })),
);

test('finds what a plain list finds, in the order of starts', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.array(range, { maxLength: 20 }), (steps, queries) => {
      const index = new RangeIndex<number>();
      let list: { range: { start: number; end: number }; value: number }[] = [];
      for (const [value, what] of steps.entries()) {
        if ('added' in what) {
          index.add(what.added, value);
          list.push({ range: what.added, value });
        } else {
          index.delete(what.deleted);
          list = list.filter((entry) => entry.value !== what.deleted);
        }
      }
      for (const { start, end } of queries) {
        const wanted = list.filter((entry) => entry.range.start < end && entry.range.end > start);
        const found = index.within(start, end);
        expect([...found].sort((a, b) => a - b)).toEqual(wanted.map(({ value }) => value));
        const starts = found.map((value) => list.find((entry) => entry.value === value)!.range.start);
        expect(starts).toEqual([...starts].sort((a, b) => a - b));
      }
    }),
  );
});
