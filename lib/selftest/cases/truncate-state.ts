/** Punching holes and allocating: contents go, the state stays. */

import { PAGE_SIZE } from '../../abi/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { CONVERTS, CONVERTS_PLAIN } from '../conversion.ts';
import { HostFile } from '../host-file.ts';
import { Scenario } from '../scenario.ts';

const GUEST = { ...CONVERTS_PLAIN, guest: true } as const;

const keepsStates = defineCase<{ readonly first: number; readonly count: number }>({
  name: 'truncate-keeps-states',
  about:
    'A punched hole reads 0 and every page in it is shared or private as before (kvm_gmem_punch_hole(); RFC v2 patch ' +
    '12, v13 conversions test "truncate").',
  requires: CONVERTS,
  variants: {
    'one-shared': { first: 0, count: 1 },
    'one-private': { first: 1, count: 1 },
    mixed: { first: 1, count: 4 },
    all: { first: 0, count: 6 },
    'past-end-of-file': { first: 4, count: 100 },
  },
  async run(t, { first, count }) {
    const layout = 'SPPSSP';
    const file = await HostFile.create(t, layout);
    t.succeeds(
      await file.gmem.tryPunchHole({ offset: first * PAGE_SIZE, size: count * PAGE_SIZE }),
      `punching pages ${first}+${count}`,
    );
    const punched = [0, 1, 2, 3, 4, 5].filter((page) => page >= first && page < first + count);
    file.forget(...punched);
    await file.is(layout, 'after the punch');
    for (const page of punched) {
      if (layout[page] === 'P') await file.convert('shared', page, 1);
      const bytes = await file.mapping.read(page * PAGE_SIZE, PAGE_SIZE);
      if (file.vm.type === 'sw-protected' || layout[page] === 'S') {
        t.equal(bytes, new Uint8Array(PAGE_SIZE), `what is on punched page ${page}`);
      }
    }
    await file.convert('shared');
    await file.is('SSSSSS', 'after all is shared');
  },
});

const bothViews = defineCase({
  name: 'truncate-is-seen-by-host-and-guest',
  about:
    'After a punch neither host nor guest reaches the old contents, through whatever they had mapped ' +
    '(kvm_gmem_punch_hole() unmaps both).',
  requires: GUEST,
  async run(t) {
    const s = await Scenario.create(t, { pages: 3, type: 'sw-protected' });
    for (let page = 0; page < 3; page += 1) await s.isShared(page, 0, 1, 2);
    await s.turnsPrivate(1, 2, 3);
    await s.punch(0, 2);
    await s.guestUses(0, 0, 4);
    await s.isShared(0, 4, 5, 6);
    await s.isPrivate(1, 0, 4);
    await s.isShared(2, 2, 3, 4);
    await s.punch(0, 2);
    await s.isShared(0, 0, 1, 2);
    await s.turnsShared(1, 0, 1, 2);
  },
});

const held = defineCase({
  name: 'truncate-ignores-references-on-private-pages',
  about: 'A private page that somebody holds for a moment is dropped like any other (kvm_gmem_punch_hole()).',
  requires: { ...CONVERTS, mock: true },
  async run(t) {
    const file = await HostFile.create(t, 'SP');
    t.mock.transientReference(file.gmem.fd, PAGE_SIZE, 1);
    t.succeeds(await file.gmem.tryPunchHole({ offset: 0, size: file.size }), 'punching');
    file.forget(0, 1);
    await file.is('SP', 'afterwards');
    await file.convert('shared');
    t.equal(await file.mapping.read(PAGE_SIZE, PAGE_SIZE), new Uint8Array(PAGE_SIZE), 'what was private');
  },
});

const allocate = defineCase({
  name: 'allocate-keeps-states-and-contents',
  about: 'fallocate without a hole changes no state and no contents, on private pages too (kvm_gmem_allocate()).',
  requires: CONVERTS,
  async run(t) {
    const file = await HostFile.create(t, 'SPSP');
    await file.gmem.punchHole({ offset: 2 * PAGE_SIZE, size: 2 * PAGE_SIZE });
    file.forget(2, 3);
    t.succeeds(await file.gmem.tryAllocate({ offset: 0, size: file.size }), 'allocating all');
    await file.is('SPSP', 'afterwards');
    t.equal(await file.mapping.read(2 * PAGE_SIZE, PAGE_SIZE), new Uint8Array(PAGE_SIZE), 'the page that was a hole');
    const beyond = { offset: 0, size: file.size + BigInt(PAGE_SIZE) };
    t.fails(await file.gmem.tryAllocate(beyond), 'EINVAL', 'allocating past the end of the file');
    await file.is('SPSP', 'after the refusal');
  },
});

export const cases: readonly AnyCase[] = [keepsStates, bothViews, held, allocate];
