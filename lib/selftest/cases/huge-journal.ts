/** The steps inside a conversion of huge pages, in the order of RFC v2 patch 38. */

import { type HugePageSize, PAGE_SIZE } from '../../abi/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { hugeVariants, needsHuge } from '../huge.ts';
import { HugeScenario, SOFTWARE } from '../huge-scenario.ts';
import { bytesOf } from '../huge-size.ts';
import { GUEST_START, type State } from '../scenario.ts';

const JOURNAL = needsHuge({ ...SOFTWARE, flags: ['init-private'], journal: true });

/** The first page of guest memory. */
const GFN = Number(GUEST_START) / PAGE_SIZE;

/** What is on record since the last look: step, first page, page after the last. */
function steps(t: T): unknown[] {
  const { journal } = t.mock;
  const seen = journal.entries.map(({ step, start, end }) => [step, start, end]);
  journal.clear();
  return seen;
}

const toShared = defineCase<HugePageSize>({
  name: 'huge_journal_to_shared',
  about:
    'To shared: begin and end are as wide as the huge page, guest mappings go for exactly the part, the state changes, ' +
    'and then the huge page is split (patch 38).',
  requires: JOURNAL,
  variants: hugeVariants,
  async run(t, hugePageSize) {
    const s = await HugeScenario.create(t, { hugePageSize, initially: 'private' });
    const P = s.pages;
    await s.gmem.allocate({ offset: 0, size: bytesOf(hugePageSize) });
    t.equal(steps(t), [['allocate', 0, P]], 'allocating');
    await s.convert(9, 2, 'shared');
    const conversion = (start: number, end: number, split: boolean) => [
      ['invalidate-begin', 0, P],
      ['unmap-stage2', GFN + start, GFN + end],
      ['set-shareability', start, end],
      ...(split ? [['split-folio', 0, P]] : []),
      ['invalidate-end', 0, P],
    ];
    t.equal(steps(t), conversion(9, 11, true), 'converting two pages');
    await s.convert(20, 1, 'shared');
    t.equal(steps(t), conversion(20, 21, false), 'converting another of the same huge page');
  },
});

const toPrivate = defineCase<HugePageSize>({
  name: 'huge_journal_to_private',
  about:
    'To private: host and guest mappings go for exactly the part, its references are checked, the state changes, and ' +
    'the huge page is merged once nothing of it is shared (patch 38).',
  requires: JOURNAL,
  variants: hugeVariants,
  async run(t, hugePageSize) {
    const s = await HugeScenario.create(t, { hugePageSize, initially: 'private' });
    const P = s.pages;
    await s.convert(9, 2, 'shared');
    await s.hostWrites(9, 1);
    t.equal(
      steps(t).filter((step) => /allocate|split|zero/.test(String(step))),
      [
        ['allocate', 0, P],
        ['split-folio', 0, P],
        ['zero', 9, 10],
      ],
      'a host fault',
    );
    const conversion = (page: number, merge: boolean) => [
      ['invalidate-begin', 0, P],
      ['unmap-stage2', GFN + page, GFN + page + 1],
      ['unmap-host', page, page + 1],
      ['check-references', page, page + 1],
      ['set-shareability', page, page + 1],
      ...(merge ? [['merge-folio', 0, P]] : []),
      ['invalidate-end', 0, P],
    ];
    await s.convert(9, 1, 'private');
    t.equal(steps(t), conversion(9, false), 'converting the first of two');
    await s.convert(10, 1, 'private');
    t.equal(steps(t), conversion(10, true), 'converting the last');
    await s.convert(0, P, 'private');
    t.equal(steps(t), [], 'converting what is private');
  },
});

const severalParts = defineCase<HugePageSize>({
  name: 'huge_journal_several_parts',
  about:
    'Every begin precedes every unmap, every unmap every change; parts of one huge page each begin and end all of it, ' +
    'and it is merged with the last (patch 38).',
  requires: JOURNAL,
  variants: hugeVariants,
  async run(t, hugePageSize) {
    const s = await HugeScenario.create(t, { hugePageSize, count: 2, initially: 'private' });
    const P = s.pages;
    await s.gmem.allocate({ offset: 0, size: 2 * bytesOf(hugePageSize) });
    for (const page of [3, 5, P + 1]) await s.convert(page, 1, 'shared');
    t.mock.journal.clear();
    await s.convert(0, 2 * P, 'private');
    const parts = [3, 5, P + 1];
    const widened = parts.map((page) => (page < P ? [0, P] : [P, 2 * P]));
    t.equal(
      steps(t),
      [
        ...widened.map((range) => ['invalidate-begin', ...range]),
        ...parts.flatMap((page) => [
          ['unmap-stage2', GFN + page, GFN + page + 1],
          ['unmap-host', page, page + 1],
          ['check-references', page, page + 1],
        ]),
        ['set-shareability', 3, 4],
        ['set-shareability', 5, 6],
        ['merge-folio', 0, P],
        ['set-shareability', P + 1, P + 2],
        ['merge-folio', P, 2 * P],
        ...widened.map((range) => ['invalidate-end', ...range]),
      ],
      'converting everything',
    );
  },
});

const refused = defineCase<HugePageSize>({
  name: 'huge_journal_refused',
  about: 'A pinned page stops a conversion after the checks: nothing is stored, merged or left begun (patch 38).',
  requires: JOURNAL,
  variants: hugeVariants,
  async run(t, hugePageSize) {
    const s = await HugeScenario.create(t, { hugePageSize, initially: 'private' });
    await s.convert(0, s.pages, 'shared');
    t.pin(s.gmem, 2 * PAGE_SIZE, PAGE_SIZE);
    t.mock.journal.clear();
    const range = { offset: PAGE_SIZE, size: 3 * PAGE_SIZE, to: 'private' as const };
    t.fails(await s.gmem.tryConvert(range), 'EAGAIN', 'converting');
    t.equal(
      steps(t),
      [
        ['invalidate-begin', 0, s.pages],
        ['unmap-stage2', GFN + 1, GFN + 4],
        ['unmap-host', 1, 4],
        ['check-references', 1, 4],
        ['invalidate-end', 0, s.pages],
      ],
      'a refused conversion',
    );
  },
});

const punched = defineCase<HugePageSize>({
  name: 'huge_journal_punch',
  about:
    'A hole is invalidated exactly as it was asked for; private huge pages are dropped at once, shared ones are ' +
    'unmapped, checked and merged first, and parts are zeroed (patch 39).',
  requires: JOURNAL,
  variants: hugeVariants,
  async run(t, hugePageSize) {
    const s = await HugeScenario.create(t, { hugePageSize, count: 4, initially: 'private' });
    const P = s.pages;
    await s.convert(2 * P + 1, 1, 'shared');
    await s.gmem.allocate({ offset: 0, size: 4 * bytesOf(hugePageSize) });
    t.mock.journal.clear();
    await s.punch(P - 1, 2 * P + 3);
    t.equal(
      steps(t),
      [
        ['invalidate-begin', P - 1, 3 * P + 2],
        ['unmap-stage2', GFN + P - 1, GFN + 3 * P + 2],
        ['zero', P - 1, P],
        ['truncate', P, 2 * P],
        ['unmap-host', 2 * P, 3 * P],
        ['check-references', 2 * P, 3 * P],
        ['merge-folio', 2 * P, 3 * P],
        ['truncate', 2 * P, 3 * P],
        ['zero', 3 * P, 3 * P + 2],
        ['invalidate-end', P - 1, 3 * P + 2],
      ],
      'punching',
    );
  },
});

/** The states of pages around each border, as the host finds them. */
async function layout({ mapping, pages }: HugeScenario): Promise<string> {
  let found = '';
  for (const page of [0, pages - 1, pages, 2 * pages - 1, 2 * pages, 2 * pages + 1, 2 * pages + 2, 2 * pages + 3]) {
    found += (await mapping.tryRead(page * PAGE_SIZE, 1)).ok ? 'S' : 'P';
  }
  return found;
}

const noMemory = defineCase<State>({
  name: 'huge_convert_without_memory_at_any_point',
  about:
    'Whichever allocation fails, the list, the tree, the metadata of a split or the page cache, the answer is ENOMEM, ' +
    'and every huge page is split, or whole, as it was (patch 38, roll back).',
  requires: { ...SOFTWARE, flags: ['init-private'], guest: true, faults: true, hugePageSize: '2M' },
  variants: { shared: 'shared', private: 'private' },
  async run(t, to) {
    const prepare = async () => {
      const s = await HugeScenario.create(t, { hugePageSize: '2M', count: 3, initially: 'private' });
      const marks = [1, s.pages + 1, 2 * s.pages + 1, 2 * s.pages + 2];
      for (const page of marks) await s.guestWrites(page, 0x40);
      // The first two huge pages as a conversion finds them; of the third a page stays shared in between.
      if (to === 'private') await s.convert(0, 2 * s.pages, 'shared');
      await s.convert(2 * s.pages + 1, 1, to === 'private' ? 'shared' : 'private');
      await s.convert(2 * s.pages + 3, 1, 'shared');
      t.mock.journal.clear();
      return { s, marks };
    };
    let refusals = 0;
    for (; ; refusals += 1) {
      const { s, marks } = await prepare();
      t.mock.faults.reset();
      t.mock.faults.failAllocation(refusals + 1);
      const range = { offset: 0, size: 3 * bytesOf('2M') - 10 * PAGE_SIZE, to };
      const attempt = await s.gmem.tryConvert(range);
      t.mock.faults.reset();
      if (attempt.ok) break;
      t.fails(attempt, 'ENOMEM', `converting to ${to}, allocation ${refusals + 1} fails`);
      const turned = t.mock.journal.entries.filter(({ step }) => step === 'split-folio' || step === 'merge-folio');
      const balance = new Map<number, number>();
      for (const { step, start } of turned) {
        balance.set(start, (balance.get(start) ?? 0) + (step === 'split-folio' ? 1 : -1));
      }
      t.equal(
        [...balance.values()].every((sum) => sum === 0),
        true,
        'huge pages are split and whole as before',
      );
      for (const page of marks) await s.guestFinds(page, 0x40);
      const wanted = await layout((await prepare()).s);
      t.equal(await layout(s), wanted, 'states of the pages');
      await s.convert(0, 3 * s.pages - 10, to);
      for (const page of marks) await s.guestFinds(page, 0x40);
    }
    // A list, a tree and a page cache each, for two whole huge pages and a part of the third.
    t.ok(refusals >= 6, `at least 6 allocations were made to fail; ${refusals} were`);
  },
});

export const cases: readonly AnyCase[] = [toShared, toPrivate, severalParts, refused, punched, noMemory];
