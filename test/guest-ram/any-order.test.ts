import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FakeSpace, PAGE, ramOn } from './support.ts';

const PAGES = 16;
const seed = Number(process.env['GMEM_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

const range = fc.tuple(fc.nat(PAGES - 1), fc.integer({ min: 1, max: PAGES })).map(([first, count]) => ({
  offset: first * PAGE,
  size: Math.min(count, PAGES - first) * PAGE,
}));
const step = fc.record({
  range,
  kind: fc.constantFrom('shared', 'private', 'punch'),
  /** Which call on which space is refused; 0 is none. */
  refuseIn: fc.nat(6),
  space: fc.nat(1),
  pinned: fc.option(fc.nat(PAGES - 1), { freq: 3 }),
});

for (const kernel of ['rfc-v2', 'inplace-v13', 'linux-7.3'] as const) {
  test(`${kernel}: spaces hold exactly what they may, and a refusal changes nothing (seed ${seed})`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        await using it = await ramOn(kernel);
        const spaces = [new FakeSpace('host'), new FakeSpace('trusted')] as const;
        await it.ram.attach(spaces[0]);
        await it.ram.attach(spaces[1], { holds: 'private' });
        for (const { range, kind, refuseIn, space, pinned } of steps) {
          const before = { states: it.ram.states(), pages: spaces.map(({ pages }) => pages) };
          const canPin = kernel !== 'linux-7.3' && pinned !== null && before.pages[0]!.includes(pinned);
          const pin = canPin ? it.mock.pin(it.ram.gmem.fd, pinned * PAGE, PAGE) : undefined;
          // A second refusal, on the way back, could not be put right.
          spaces[space]!.refuseIn = pin ? 0 : refuseIn;
          const result =
            kind === 'punch'
              ? await it.ram.tryPunchHole(range)
              : await it.ram.tryConvert({ ...range, to: kind as 'shared' });
          spaces[space]!.refuseIn = 0;
          pin?.release();
          const after = { states: it.ram.states(), pages: spaces.map(({ pages }) => pages) };
          if (!result.ok) expect(after).toEqual(before);
          for (const [i, state] of (['shared', 'private'] as const).entries()) {
            const wanted = after.states
              .filter((run) => run.state === state)
              .flatMap(({ offset, size }) =>
                Array.from({ length: Number(size) / PAGE }, (_, page) => Number(offset) / PAGE + page),
              );
            expect(spaces[i]!.pages).toEqual(wanted);
          }
        }
        expect(await it.ram.check({ pages: 'all' })).toEqual([]);
      }),
      { numRuns: 30, seed },
    );
  });
}
