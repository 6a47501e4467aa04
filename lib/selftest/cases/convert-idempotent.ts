/** Converting what is in the wanted state already, wholly or in part. */

import { PAGE_SIZE } from '../../abi/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { byDialect, CONVERTS, RawConversion, type State } from '../conversion.ts';
import { HostFile } from '../host-file.ts';
import { Scenario } from '../scenario.ts';

const range = (first: number, count: number) => ({ offset: first * PAGE_SIZE, size: count * PAGE_SIZE });

const again = defineCase({
  name: 'convert-what-already-is',
  about:
    'A range that is in the wanted state answers 0 and keeps its contents, the struct unwritten ' +
    '(RFC v2 patch 04, compute_work; v13, kvm_gmem_range_has_attributes()).',
  requires: CONVERTS,
  async run(t) {
    const file = await HostFile.create(t, 'SSPP');
    for (const [first, to] of [
      [0, 'shared'],
      [2, 'private'],
    ] as const) {
      for (let times = 0; times < 2; times += 1) {
        const conversion = new RawConversion(t, { ...range(first, 2), to });
        await conversion.succeeds(file.gmem, `converting ${to} pages to ${to}`);
        await file.is('SSPP', 'afterwards');
      }
    }
  },
});

const noSteps = defineCase({
  name: 'convert-what-already-is-takes-no-step',
  about:
    'Where nothing differs nobody is told, nothing is unmapped, no reference is looked at and no memory allocated, so ' +
    'pins and shortage do not matter (RFC v2 patch 04; v13, kvm_gmem_set_attributes()).',
  requires: { ...CONVERTS, journal: true, faults: true, pins: true, guest: true },
  async run(t) {
    const s = await Scenario.create(t, { pages: 4 });
    await s.isShared(0, 0, 1, 2);
    await s.turnsPrivate(2, 0, 3);
    await s.convert('private', 3, 1);
    s.pin(0, 2);
    t.mock.transientReference(s.gmem.fd, s.offset(2), 1);
    t.mock.faults.failAllocation(1);
    t.mock.journal.clear();
    for (const [first, to] of [
      [0, 'shared'],
      [2, 'private'],
    ] as const) {
      const conversion = new RawConversion(t, { ...range(first, 2), to });
      await conversion.succeeds(s.gmem, `converting ${to} pages to ${to}, pinned and without memory`);
    }
    t.equal(t.mock.journal.entries, [], 'steps taken');
    t.mock.faults.reset();
    await s.hostUses(0, 2, 4);
    await s.isPrivate(2, 3, 5);
  },
});

const referencesUnread = defineCase({
  name: 'convert-what-already-is-looks-at-no-reference',
  about:
    'A momentary reference on a private page outlives a conversion to private that changes nothing, and is found by ' +
    'the next that does (RFC v2 patch 04; v13).',
  requires: { ...CONVERTS, pins: true, mock: true },
  async run(t) {
    const file = await HostFile.create(t, 'PP');
    t.mock.transientReference(file.gmem.fd, 0, 1);
    const toPrivate = new RawConversion(t, { ...range(0, 2), to: 'private' });
    await toPrivate.succeeds(file.gmem, 'converting private pages to private');
    await file.convert('shared', 0, 1);
    await toPrivate.isBlocked(file.gmem, 0, 'converting the page to private');
    await file.is('SP', 'after EAGAIN');
    toPrivate.reset();
    await toPrivate.succeeds(file.gmem, 'converting again');
    await file.is('PP', 'after success');
  },
});

interface Mixed {
  readonly layout: string;
  readonly to: State;
}

const mixed = defineCase<Mixed>({
  name: 'convert-a-mixed-range',
  about:
    'A range of which some pages are in the wanted state becomes so as a whole, and no contents are lost ' +
    '(RFC v2 patch 04, one work item for each differing part; v13, one for all).',
  requires: CONVERTS,
  variants: {
    'alternating-to-private': { layout: 'SPSPSPSP', to: 'private' },
    'alternating-to-shared': { layout: 'SPSPSPSP', to: 'shared' },
    'runs-to-private': { layout: 'PPSSSPPS', to: 'private' },
    'runs-to-shared': { layout: 'PPSSSPPS', to: 'shared' },
    'first-differs': { layout: 'SPPPPPPP', to: 'private' },
    'last-differs': { layout: 'SSSSSSSP', to: 'shared' },
  },
  async run(t, { layout, to }) {
    const file = await HostFile.create(t, layout);
    const middle = layout[0] + (to === 'shared' ? 'SSSSSS' : 'PPPPPP') + layout[7];
    await new RawConversion(t, { ...range(1, 6), to }).succeeds(file.gmem, `converting pages 1 to 6 to ${to}`);
    await file.is(middle, 'after the part');
    await new RawConversion(t, { ...range(0, 8), to }).succeeds(file.gmem, `converting all to ${to}`);
    await file.is((to === 'shared' ? 'S' : 'P').repeat(8), 'after the whole');
    await file.convert('shared');
    await file.is('SSSSSSSS', 'after all is shared again');
  },
});

const heldInMixed = defineCase({
  name: 'convert-a-mixed-range-with-a-held-private-page',
  about:
    'RFC v2 looks at references of the differing parts alone (patch 04); attributes2 at those of the whole range, ' +
    'also of pages that are private already (v13, kvm_gmem_is_safe_for_conversion()).',
  requires: { ...CONVERTS, pins: true, mock: true },
  async run(t) {
    const file = await HostFile.create(t, 'SPS');
    t.mock.transientReference(file.gmem.fd, PAGE_SIZE, 1);
    const conversion = new RawConversion(t, { ...range(0, 3), to: 'private' });
    const blocked = byDialect(t, { 'rfc-convert': false, attributes2: true });
    if (blocked) {
      await conversion.isBlocked(file.gmem, PAGE_SIZE, 'converting with the private page held');
      await file.is('SPS', 'after EAGAIN');
      conversion.reset();
    }
    await conversion.succeeds(file.gmem, 'converting');
    await file.is('PPP', 'after success');
  },
});

const toSharedIgnores = defineCase({
  name: 'convert-to-shared-ignores-references',
  about: 'Nothing blocks a conversion to shared: neither pinned shared pages nor held private ones (RFC v2; v13).',
  requires: { ...CONVERTS, pins: true, mock: true },
  async run(t) {
    const file = await HostFile.create(t, 'SPSP');
    t.pin(file.gmem, 0, PAGE_SIZE);
    t.pin(file.gmem, 2 * PAGE_SIZE, PAGE_SIZE);
    t.mock.transientReference(file.gmem.fd, PAGE_SIZE, 3);
    await new RawConversion(t, { ...range(0, 4), to: 'shared' }).succeeds(file.gmem, 'converting all to shared');
    await file.is('SSSS', 'afterwards');
  },
});

export const cases: readonly AnyCase[] = [again, noSteps, referencesUnread, mixed, heldInMixed, toSharedIgnores];
