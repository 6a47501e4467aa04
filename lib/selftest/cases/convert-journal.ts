/** The order of the steps inside a conversion: what the thread of the two series is about. */

import type { JournalEntry, Step } from '../../mock/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { byDialect, CONVERTS_PLAIN, type State } from '../conversion.ts';
import type { Requires } from '../requires.ts';
import { Scenario } from '../scenario.ts';

const STEPS: Requires = { ...CONVERTS_PLAIN, guest: true, steps: true };
const RFC: Requires = { ...STEPS, dialect: ['rfc-convert'] };
const ATTRIBUTES2: Requires = { ...STEPS, dialect: ['attributes2'] };

/** A file whose guest and host have touched all pages; the journal begins after that. */
async function touched(t: T, layout: string): Promise<Scenario> {
  const s = await Scenario.create(t, { pages: layout.length, type: 'sw-protected' });
  for (let page = 0; page < s.pages; page += 1) await s.isShared(page, 0, 1, 2);
  for (let page = 0; page < s.pages; page += 1) if (layout[page] === 'P') await s.turnsPrivate(page, 2, 3);
  t.steps.clear();
  return s;
}

const text = ({ step, start, end }: JournalEntry): string => `${step} ${start}-${end}`;
const journal = (t: T): readonly JournalEntry[] => t.steps.entries;
/** The steps on the file; a slot's part of the unmapping comes along with one of them and is looked at apart. */
const onFile = (t: T): string[] =>
  journal(t)
    .filter(({ step }) => step !== 'unmap-stage2')
    .map(text);
const indexesOf = (t: T, wanted: Step): number[] => journal(t).flatMap(({ step }, i) => (step === wanted ? [i] : []));

const outcomesOf = (t: T, wanted: Step): unknown[] =>
  journal(t).flatMap(({ step, detail }) => (step === wanted ? [detail] : []));

/** Every `first` comes before every `second`, and there is at least one of each. */
function comesBefore(t: T, first: Step, second: Step): void {
  const [before, after] = [indexesOf(t, first), indexesOf(t, second)];
  t.ok(before.length > 0 && after.length > 0, `there are steps ${first} and ${second}`);
  t.ok(Math.max(...before) < Math.min(...after), `every ${first} comes before every ${second}`);
}

function allForThisReason(t: T, reason: string): void {
  const reasons = new Set(journal(t).flatMap((entry) => (entry.reason === undefined ? [] : [entry.reason])));
  t.equal([...reasons], [reason], 'the reasons given');
}

const rfcToPrivate = defineCase({
  name: 'convert-steps-to-private-in-three-passes',
  about:
    'RFC v2 to private: every invalidate_begin, then for each part unmapping and the reference check, then every change ' +
    'of state, then every invalidate_end (patches 04 and 38, kvm_gmem_convert_range()).',
  requires: RFC,
  async run(t) {
    const s = await touched(t, 'SPSSP');
    await s.convert('private');
    t.equal(
      onFile(t),
      [
        'invalidate-begin 0-1',
        'invalidate-begin 2-4',
        'unmap-host 0-1',
        'check-references 0-1',
        'unmap-host 2-4',
        'check-references 2-4',
        'set-shareability 0-1',
        'set-shareability 2-4',
        'invalidate-end 0-1',
        'invalidate-end 2-4',
      ],
      'the steps on the file',
    );
    comesBefore(t, 'invalidate-begin', 'unmap-stage2');
    comesBefore(t, 'unmap-stage2', 'set-shareability');
    allForThisReason(t, 'convert-to-private');
  },
});

const rfcToShared = defineCase({
  name: 'convert-steps-to-shared-in-three-passes',
  about:
    'RFC v2 to shared: every invalidate_begin, then the private stage-2 entries of each part, then every change of ' +
    'state, then every invalidate_end; no reference is looked at and the host has nothing to lose (patches 04 and 38).',
  requires: RFC,
  async run(t) {
    const s = await touched(t, 'PSPPS');
    await s.convert('shared');
    t.equal(
      onFile(t),
      [
        'invalidate-begin 0-1',
        'invalidate-begin 2-4',
        'set-shareability 0-1',
        'set-shareability 2-4',
        'invalidate-end 0-1',
        'invalidate-end 2-4',
      ],
      'the steps on the file',
    );
    comesBefore(t, 'invalidate-begin', 'unmap-stage2');
    comesBefore(t, 'unmap-stage2', 'set-shareability');
    allForThisReason(t, 'convert-to-shared');
  },
});

const wholeToPrivate = defineCase({
  name: 'convert-steps-to-private-as-a-whole',
  about:
    'attributes2 to private: the whole range, with what is private already, is unmapped from the host and checked; only ' +
    'then KVM is told, its shared entries go, the state is stored (v13, __kvm_gmem_set_attributes()).',
  requires: ATTRIBUTES2,
  async run(t) {
    const s = await touched(t, 'SPSSP');
    await s.convert('private');
    t.equal(
      journal(t).map((entry) => (entry.step === 'unmap-stage2' ? entry.step : text(entry))),
      [
        'unmap-host 0-5',
        'check-references 0-5',
        'invalidate-begin 0-5',
        'unmap-stage2',
        'set-shareability 0-5',
        'invalidate-end 0-5',
      ],
      'the steps',
    );
    allForThisReason(t, 'convert-to-private');
  },
});

const wholeToShared = defineCase({
  name: 'convert-steps-to-shared-as-a-whole',
  about:
    'attributes2 to shared: KVM is told, its private entries of the range go, the state is stored; the host is not ' +
    'unmapped and no reference looked at (v13, __kvm_gmem_set_attributes()).',
  requires: ATTRIBUTES2,
  async run(t) {
    const s = await touched(t, 'PSPPS');
    await s.convert('shared', 0, 4);
    t.equal(
      journal(t).map((entry) => (entry.step === 'unmap-stage2' ? entry.step : text(entry))),
      ['invalidate-begin 0-4', 'unmap-stage2', 'set-shareability 0-4', 'invalidate-end 0-4'],
      'the steps',
    );
    allForThisReason(t, 'convert-to-shared');
  },
});

const refused = defineCase({
  name: 'convert-steps-of-a-refusal',
  about:
    'EAGAIN: RFC v2 ends every invalidation that it began and examines no part after the held one (patch 04); ' +
    'attributes2 has begun none and leaves the guest’s entries alone (v13). No state is stored.',
  requires: { ...STEPS, pins: true },
  async run(t) {
    const s = await touched(t, 'SPSPS');
    s.pin(2);
    t.steps.clear();
    await s.convertIsBlocked(2);
    const steps = byDialect(t, {
      'rfc-convert': [
        'invalidate-begin 0-1',
        'invalidate-begin 2-3',
        'invalidate-begin 4-5',
        'unmap-host 0-1',
        'check-references 0-1',
        'unmap-host 2-3',
        'check-references 2-3',
        'invalidate-end 0-1',
        'invalidate-end 2-3',
        'invalidate-end 4-5',
      ],
      attributes2: ['unmap-host 0-5', 'check-references 0-5'],
    });
    const found = byDialect(t, { 'rfc-convert': ['free', 'page 2 is held'], attributes2: ['page 2 is held'] });
    // A kernel's function tracer sees no outcome.
    if (t.host.mock) t.equal(outcomesOf(t, 'check-references'), found, 'what the checks found');
    t.equal(onFile(t), steps, 'the steps on the file');
    if (byDialect(t, { 'rfc-convert': false, attributes2: true })) {
      t.equal(indexesOf(t, 'unmap-stage2'), [], 'guest entries unmapped');
    }
  },
});

const noMemory = defineCase<State>({
  name: 'convert-steps-without-memory',
  about:
    'ENOMEM: in RFC v2 what was stored is stored back and every invalidation ends (patches 04 and 38); attributes2 ' +
    'fails before its first step (v13).',
  requires: { ...STEPS, faults: true },
  variants: { private: 'private', shared: 'shared' },
  async run(t, to) {
    const s = await touched(t, to === 'private' ? 'SPSPS' : 'PSPSP');
    t.mock.faults.failAllocation(byDialect(t, { 'rfc-convert': 3, attributes2: 1 }), 'tree-node');
    const outcome = await s.gmem.tryConvert({ offset: 0, size: s.offset(5), to });
    t.fails(outcome, 'ENOMEM', `converting to ${to}`);
    const count = (step: Step): number => indexesOf(t, step).length;
    const stored = journal(t).filter(({ step }) => step === 'set-shareability');
    const from = to === 'private' ? 'shared' : 'private';
    const wanted = byDialect(t, { 'rfc-convert': [to, to, from, from], attributes2: [] as string[] });
    t.equal(
      stored.map(({ detail }) => detail),
      wanted,
      'the states stored',
    );
    t.equal(count('invalidate-begin'), byDialect(t, { 'rfc-convert': 3, attributes2: 0 }), 'invalidations begun');
    t.equal(count('invalidate-end'), count('invalidate-begin'), 'invalidations ended');
  },
});

export const cases: readonly AnyCase[] = [rfcToPrivate, rfcToShared, wholeToPrivate, wholeToShared, refused, noMemory];
