/**
 * The cases of the kernel's guest_memfd_conversions_test: of "In-place conversion support" v13, and of RFC v2 patches
 * 12 and 44. Both series tell the same stories, so each is told once.
 */

import { type AnyCase, defineCase } from '../case.ts';
import { CONVERTS } from '../conversion.ts';
import type { CreateFlag, Requires } from '../requires.ts';
import { Scenario } from '../scenario.ts';

const [A, B, C, D, E, F] = [0x41, 0x42, 0x43, 0x44, 0x45, 0x46];

const needs = (...flags: CreateFlag[]): Requires => ({ ...CONVERTS, flags: ['mmap', ...flags], guest: true });
const SHARED = needs('init-shared');
const PRIVATE = needs('init-private');

/** Variants named after a page: one for each of the first `count`. */
const pages = (count: number): Record<string, number> =>
  Object.fromEntries(Array.from({ length: count }, (_, page) => [`page-${page}`, page]));

const initPrivate = defineCase({
  name: 'conversions_init_private',
  about: 'Memory that starts private is converted to shared and back, and keeps its contents (v13; RFC v2 patch 12).',
  requires: PRIVATE,
  async run(t) {
    const s = await Scenario.create(t, { pages: 1, initially: 'private' });
    await s.isPrivate(0, 0, A);
    await s.turnsShared(0, A, B, C);
    await s.turnsPrivate(0, C, E);
  },
});

const initShared = defineCase({
  name: 'conversions_init_shared',
  about: 'Memory that starts shared is converted to private and back (v13; RFC v2 patch 12, test_sharing).',
  requires: SHARED,
  async run(t) {
    const s = await Scenario.create(t, { pages: 1 });
    await s.isShared(0, 0, A, B);
    await s.turnsPrivate(0, B, C);
    await s.turnsShared(0, C, D, E);
  },
});

const initMappableFalse = defineCase({
  name: 'conversions_init_mappable_false',
  about: 'Memory that starts private is there for the host once it is shared (RFC v2 patch 12).',
  requires: PRIVATE,
  async run(t) {
    const s = await Scenario.create(t, { pages: 1, initially: 'private' });
    await s.hostIsRefused(0);
    await s.guestUses(0, 0, A);
    await s.convert('shared');
    await s.hostUses(0, A, B);
    await s.guestUses(0, B, C);
  },
});

const indexing = defineCase<number>({
  name: 'conversions_indexing',
  about: 'Of several pages exactly the one that was named is converted, and the others notice nothing (v13).',
  requires: SHARED,
  variants: pages(4),
  async run(t, target) {
    const v = (page: number, n: number): number => (page << 4) + n;
    const s = await Scenario.create(t, { pages: 4 });
    for (const page of [3, 2, 1, 0]) await s.isShared(page, 0, v(page, 0), v(page, 2));
    await s.turnsPrivate(target, v(target, 2), v(target, 3));
    for (const page of [0, 1, 2, 3]) {
      if (page === target) await s.isPrivate(page, v(page, 3), v(page, 4));
      else await s.isShared(page, v(page, 2), v(page, 3), v(page, 4));
    }
    await s.turnsShared(target, v(target, 4), v(target, 5), v(target, 6));
    for (const page of [0, 1, 2, 3]) {
      await s.isShared(page, page === target ? v(page, 6) : v(page, 4), v(page, 7), v(page, 8));
    }
  },
});

const surrounding = defineCase<number>({
  name: 'conversions_should_not_affect_surrounding_pages',
  about: 'Pages around the converted one go on being shared (RFC v2 patch 12).',
  requires: SHARED,
  variants: pages(4),
  async run(t, target) {
    const all = [0, 1, 2, 3];
    const others = all.filter((page) => page !== target);
    const s = await Scenario.create(t, { pages: 4 });
    for (const page of all) await s.isShared(page, 0, A, B);
    await s.turnsPrivate(target, B, C);
    for (const page of others) await s.isShared(page, B, C, D);
    await s.guestUses(target, C, D);
    await s.convert('shared', target, 1);
    for (const page of all) await s.isShared(page, D, E, F);
  },
});

const beforeAllocationShared = defineCase({
  name: 'conversions_before_allocation_shared',
  about: 'Shared memory that nobody has used is converted like any other (v13; RFC v2 patch 12).',
  requires: SHARED,
  async run(t) {
    const s = await Scenario.create(t, { pages: 1 });
    await s.turnsPrivate(0, 0, A);
    await s.turnsShared(0, A, B, C);
  },
});

const beforeAllocationPrivate = defineCase({
  name: 'conversions_before_allocation_private',
  about: 'Private memory that nobody has used is converted like any other (v13).',
  requires: PRIVATE,
  async run(t) {
    const s = await Scenario.create(t, { pages: 1, initially: 'private' });
    await s.turnsShared(0, 0, A, B);
    await s.turnsPrivate(0, B, C);
  },
});

const unallocatedFolios = defineCase<number>({
  name: 'conversions_unallocated_folios',
  about: 'A range of which two pages are allocated is converted at once, and page by page back (v13).',
  requires: SHARED,
  variants: pages(8),
  async run(t, page) {
    const s = await Scenario.create(t, { pages: 8 });
    await s.hostUses(page, 0, A);
    if (page !== 4) await s.hostUses(4, 0, A);
    await s.convert('private');
    for (let i = 0; i < 8; i += 1) await s.isPrivate(i, i === page || i === 4 ? A : 0, B);
    for (let i = 0; i < 8; i += 1) await s.turnsShared(i, B, C, D);
  },
});

const notAllFolios = defineCase<number>({
  name: 'conversion_if_not_all_folios_allocated',
  about: 'A range of which two pages are allocated is converted at once, there and back (RFC v2 patch 12).',
  requires: SHARED,
  variants: pages(16),
  async run(t, page) {
    const s = await Scenario.create(t, { pages: 16 });
    await s.hostUses(page, 0, A);
    if (page !== 8) await s.hostUses(8, 0, A);
    await s.convert('private');
    for (let i = 0; i < 16; i += 1) await s.isPrivate(i, i === page || i === 8 ? A : 0, B);
    await s.convert('shared');
    for (let i = 0; i < 16; i += 1) await s.isShared(i, B, C, D);
  },
});

export const cases: readonly AnyCase[] = [
  initPrivate,
  initShared,
  initMappableFalse,
  indexing,
  surrounding,
  beforeAllocationShared,
  beforeAllocationPrivate,
  unallocatedFolios,
  notAllFolios,
];
