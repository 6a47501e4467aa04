import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PageMap } from '../../lib/mock/page-map.ts';

const page = fc.oneof(fc.nat(300), fc.integer({ min: 2 ** 40, max: 2 ** 40 + 300 }));
const action = fc.tuple(fc.constantFrom('set', 'delete'), page);

test('holds and walks what a Map holds, in order of pages', () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 80 }), page, page, (actions, a, b) => {
      const map = new PageMap<string>();
      const model = new Map<number, string>();
      for (const [what, at] of actions) {
        if (what === 'set') {
          map.set(at, `page ${at}`);
          model.set(at, `page ${at}`);
        } else expect(map.delete(at)).toBe(model.delete(at));
      }
      const [start, end] = [Math.min(a, b), Math.max(a, b)];
      const inside = [...model].filter(([at]) => at >= start && at < end).sort(([x], [y]) => x - y);
      expect([...map.within(start, end)]).toEqual(inside);
      expect(map.size).toBe(model.size);
    }),
  );
});

test('a walk over a terabyte visits only the pages that are there', () => {
  const map = new PageMap<number>();
  map.set(3, 3);
  map.set(2 ** 28 - 1, 7);
  expect([...map.within(0, 2 ** 28)]).toEqual([
    [3, 3],
    [2 ** 28 - 1, 7],
  ]);
});

test('pages may be deleted during the walk', () => {
  const map = new PageMap<number>();
  for (let i = 0; i < 200; i++) map.set(i, i);
  for (const [at] of map.within(0, 200)) map.delete(at);
  expect(map.size).toBe(0);
});
