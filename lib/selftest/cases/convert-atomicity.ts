/** All or nothing: what is refused in one place has happened nowhere. */

import { PAGE_SIZE } from '../../abi/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { byDialect, CONVERTS, RawConversion, STATES } from '../conversion.ts';
import { HostFile } from '../host-file.ts';
import { Scenario } from '../scenario.ts';

interface Parts {
  readonly layout: string;
  readonly pinned: number;
}

const severalParts = defineCase<Parts>({
  name: 'convert-all-parts-or-none',
  about:
    'EAGAIN in one differing part leaves the others as they were, also those examined before it ' +
    '(RFC v2 patch 04: all checks before any change; v13).',
  requires: { ...CONVERTS, pins: true },
  variants: {
    'first-part': { layout: 'SPSPS', pinned: 0 },
    'middle-part': { layout: 'SPSPS', pinned: 2 },
    'last-part': { layout: 'SPSPS', pinned: 4 },
    'end-of-a-longer-part': { layout: 'PSSSP', pinned: 3 },
  },
  async run(t, { layout, pinned }) {
    const file = await HostFile.create(t, layout);
    const pin = t.pin(file.gmem, pinned * PAGE_SIZE, PAGE_SIZE);
    const conversion = new RawConversion(t, { offset: 0, size: file.size, to: 'private' });
    for (let times = 0; times < 2; times += 1) {
      await conversion.isBlocked(file.gmem, pinned * PAGE_SIZE, 'converting with a pin');
      await file.is(layout, 'after EAGAIN');
      conversion.reset();
    }
    pin.release();
    await conversion.succeeds(file.gmem, 'converting without the pin');
    await file.is('PPPPP', 'after success');
  },
});

const guestAfterRefusal = defineCase({
  name: 'convert-refused-leaves-the-guest-its-memory',
  about:
    'After EAGAIN host and guest find every page as it was: mappings that went fault back in with their contents ' +
    '(RFC v2; v13).',
  requires: { ...CONVERTS, pins: true, guest: true },
  async run(t) {
    const s = await Scenario.create(t, { pages: 4 });
    await s.turnsPrivate(1, 0, 0x21);
    for (const page of [0, 2, 3]) await s.isShared(page, 0, 0x10 + page, 0x20 + page);
    const pin = s.pin(2);
    await s.convertIsBlocked(2);
    await s.isPrivate(1, 0x21, 0x31);
    for (const page of [0, 2, 3]) await s.isShared(page, 0x20 + page, 0x30 + page, 0x40 + page);
    t.equal(pin.read()[0], 0x42, 'what the pinner sees');
    pin.release();
    await s.convert('private');
    for (const page of [0, 2, 3]) await s.isPrivate(page, 0x40 + page, 0x50 + page);
  },
});

const sweep = defineCase({
  name: 'convert-without-memory-at-any-point',
  about:
    'Whichever allocation fails, the answer is ENOMEM and no page has changed; a retry is safe ' +
    '(RFC v2 patches 04 and 38, roll back; v13, preallocation).',
  requires: { ...CONVERTS, faults: true },
  async run(t) {
    for (const to of STATES) {
      let refusals = 0;
      for (const layout = to === 'private' ? 'SPSPSPS' : 'PSPSPSP'; ; refusals += 1) {
        const file = await HostFile.create(t, layout);
        t.mock.faults.reset();
        t.mock.faults.failAllocation(refusals + 1);
        const conversion = new RawConversion(t, { offset: 0, size: file.size, to });
        const attempt = await conversion.send(file.gmem);
        if (attempt.ok) break;
        t.fails(attempt, 'ENOMEM', `converting to ${to}, allocation ${refusals + 1} fails`);
        await file.is(layout, 'after ENOMEM');
        conversion.reset();
        await conversion.succeeds(file.gmem, 'converting again');
        await file.is((to === 'private' ? 'P' : 'S').repeat(7), 'after success');
      }
      t.mock.faults.reset();
      const least = byDialect(t, { 'rfc-convert': 4, attributes2: 1 });
      t.ok(refusals >= least, `at least ${least} allocations were made to fail, one for each part stored`);
    }
  },
});

const noMemoryOffset = defineCase({
  name: 'convert-error-offset-without-memory',
  about:
    'With ENOMEM error_offset is the start of the request with attributes2 (v13) and meaningless in RFC v2 (patch 04 ' +
    'leaves it uninitialised), so gmem.convert() shows it with neither.',
  requires: { ...CONVERTS, faults: true },
  async run(t) {
    const file = await HostFile.create(t, 'SSSS');
    const range = { offset: 2 * PAGE_SIZE, size: PAGE_SIZE, to: 'private' as const };
    t.mock.faults.failAllocation(1);
    const conversion = new RawConversion(t, range);
    const raw = t.fails(await conversion.send(file.gmem), 'ENOMEM', 'by ioctl');
    t.equal(raw.errorOffset, undefined, 'errorOffset of the refused ioctl');
    if (byDialect(t, { 'rfc-convert': false, attributes2: true })) {
      t.equal(conversion.errorOffset, BigInt(range.offset), 'error_offset');
    } else t.notEqual(conversion.errorOffset, 0n, 'error_offset, which must be zeroed before a retry');
    t.mock.faults.failAllocation(1);
    const typed = t.fails(await file.gmem.tryConvert(range), 'ENOMEM', 'by gmem.convert()');
    t.equal(typed.errorOffset, undefined, 'errorOffset of gmem.convert()');
    t.succeeds(await file.gmem.tryConvert(range), 'by gmem.convert() again');
    await file.is('SSPS', 'afterwards');
  },
});

const order = defineCase({
  name: 'convert-without-memory-and-with-references',
  about:
    'attributes2 allocates before it looks at references, so ENOMEM hides EAGAIN (v13); RFC v2 allocates its list ' +
    'before and its tree nodes after (patch 04).',
  requires: { ...CONVERTS, faults: true, pins: true },
  async run(t) {
    const file = await HostFile.create(t, 'SSSS');
    t.pin(file.gmem, PAGE_SIZE, PAGE_SIZE);
    const conversion = new RawConversion(t, { offset: 0, size: file.size, to: 'private' });
    t.mock.faults.failAllocation(1);
    t.fails(await conversion.send(file.gmem), 'ENOMEM', 'the first allocation fails');
    conversion.reset();
    t.mock.faults.failAllocation(1, 'tree-node');
    const treeNode = byDialect(t, { 'rfc-convert': 'EAGAIN', attributes2: 'ENOMEM' } as const);
    t.fails(await conversion.send(file.gmem), treeNode, 'the tree node cannot be allocated');
    t.mock.faults.reset();
    conversion.reset();
    await conversion.isBlocked(file.gmem, PAGE_SIZE, 'with memory');
    await file.is('SSSS', 'afterwards');
  },
});

export const cases: readonly AnyCase[] = [severalParts, guestAfterRefusal, sweep, noMemoryOffset, order];
