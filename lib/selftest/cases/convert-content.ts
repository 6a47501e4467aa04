/** What is on a page: kept by conversions, zero exactly once. */

import { PAGE_SIZE } from '../../abi/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { CONVERTS, CONVERTS_PLAIN, type State } from '../conversion.ts';
import { HostFile } from '../host-file.ts';
import { Scenario } from '../scenario.ts';

const GUEST = { ...CONVERTS_PLAIN, guest: true } as const;

const everyByte = defineCase({
  name: 'convert-keeps-every-byte',
  about:
    'KVM neither reads nor zeroes on conversion: on KVM_X86_SW_PROTECTED_VM host and guest find every byte, both ways ' +
    '(RFC v2 patch 12; v13 conversions test).',
  requires: GUEST,
  async run(t) {
    const s = await Scenario.create(t, { pages: 3, type: 'sw-protected' });
    const size = 3 * PAGE_SIZE;
    const written = Uint8Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8)) & 0xff);
    await s.mapping.write(0, written);
    await s.convert('private');
    const seen = await s.guest.read(s.gpa(0), size);
    t.ok(seen.ok, 'the guest reads all of it');
    if (seen.ok) t.equal(seen.bytes, written, 'what the guest finds');
    const answer = written.map((byte) => byte ^ 0xff);
    t.equal((await s.guest.write(s.gpa(0), answer)).ok, true, 'the guest writes all of it');
    await s.convert('shared');
    t.equal(await s.mapping.read(0, size), answer, 'what the host finds');
  },
});

const hostOnly = defineCase({
  name: 'convert-there-and-back-keeps-contents',
  about: 'A page that was private in between reads as the host left it (RFC v2 patch 12; v13 conversions test).',
  requires: CONVERTS_PLAIN,
  async run(t) {
    const file = await HostFile.create(t, 'SPSPPS');
    await file.convert('shared');
    await file.is('SSSSSS', 'after the first time');
    await file.convert('private');
    await file.is('PPPPPP', 'in between');
    await file.convert('shared');
    await file.is('SSSSSS', 'after the second time');
  },
});

/** Who touches an unallocated page first, in which state it is then, and whether it was converted before. */
interface FirstTouch {
  readonly initially: State;
  readonly converted: readonly State[];
  readonly allocated?: true;
}

const zeroed = defineCase<FirstTouch>({
  name: 'convert-zeroes-at-first-touch-only',
  about:
    'A page is zeroed once, by whoever touches it first and whatever was converted before; fallocate alone does not ' +
    'count as a touch, and a conversion never zeroes (kvm_gmem_get_folio(), RFC v2 patch 02; v13).',
  requires: ({ initially }) => ({ ...GUEST, flags: ['mmap', initially === 'shared' ? 'init-shared' : 'init-private'] }),
  variants: {
    'shared-from-the-start': { initially: 'shared', converted: [] },
    'private-from-the-start': { initially: 'private', converted: [] },
    'shared-then-private': { initially: 'shared', converted: ['private'] },
    'private-then-shared': { initially: 'private', converted: ['shared'] },
    'there-and-back': { initially: 'shared', converted: ['private', 'shared'] },
    'allocated-then-private': { initially: 'shared', converted: ['private'], allocated: true },
    'allocated-then-shared': { initially: 'private', converted: ['shared'], allocated: true },
  },
  async run(t, { initially, converted, allocated }) {
    const s = await Scenario.create(t, { pages: 2, initially, type: 'sw-protected' });
    if (allocated) await s.gmem.allocate({ offset: 0, size: PAGE_SIZE });
    for (const to of converted) await s.convert(to);
    if ((converted.at(-1) ?? initially) === 'shared') await s.isShared(0, 0, 1, 2);
    else await s.isPrivate(0, 0, 2);
    await s.convert('shared');
    await s.isShared(0, 2, 3, 4);
    await s.convert('private');
    await s.isPrivate(0, 4, 5);
  },
});

const zeroedOnce = defineCase({
  name: 'convert-zeroes-once',
  about: 'The kernel zeroes a page at its first touch and never again until it is truncated (kvm_gmem_get_folio()).',
  requires: { ...GUEST, journal: true },
  async run(t) {
    const s = await Scenario.create(t, { pages: 2, type: 'sw-protected' });
    const zeroed = () => t.mock.journal.entries.filter(({ step }) => step === 'zero').map(({ start }) => start);
    await s.gmem.allocate({ offset: 0, size: PAGE_SIZE });
    t.equal(zeroed(), [], 'pages zeroed by fallocate');
    await s.isShared(0, 0, 1, 2);
    await s.turnsPrivate(0, 2, 3);
    await s.turnsShared(0, 3, 4, 5);
    t.equal(zeroed(), [0], 'pages zeroed by touching page 0 and converting it');
    await s.turnsPrivate(1, 0, 1);
    t.equal(zeroed(), [0, 1], 'pages zeroed after the guest touched page 1 first');
    await s.punch(0, 1);
    await s.isShared(0, 0, 1, 2);
    t.equal(zeroed(), [0, 1, 0], 'pages zeroed after page 0 was truncated');
  },
});

const noAllocation = defineCase({
  name: 'convert-allocates-no-page',
  about: 'Converting pages that nobody has used allocates none (RFC v2 patch 04; v13).',
  requires: { ...CONVERTS, mock: true },
  async run(t) {
    const vm = await t.vm();
    const gmem = await t.gmem(vm, { size: 16 * PAGE_SIZE, mmap: true, initially: 'shared' });
    const before = t.mock.pagesInUse;
    for (const to of ['private', 'shared', 'private'] as const) {
      t.succeeds(await gmem.tryConvert({ offset: 0, size: 16 * PAGE_SIZE, to }), `converting to ${to}`);
    }
    t.equal(t.mock.pagesInUse, before, 'pages in use');
  },
});

export const cases: readonly AnyCase[] = [everyByte, hostOnly, zeroed, zeroedOnce, noAllocation];
