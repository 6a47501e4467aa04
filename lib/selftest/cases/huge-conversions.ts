/** Conversions of parts of huge pages: guest_memfd_conversions_test of RFC v2, patches 44 and 45, and what follows. */

import { type HugePageSize, PAGE_SIZE } from '../../abi/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { hugeVariants, needsHuge, PoolWatch } from '../huge.ts';
import { HugeScenario, SOFTWARE } from '../huge-scenario.ts';
import { bytesOf } from '../huge-size.ts';
import type { State } from '../scenario.ts';

const [A, B, C, D] = [0x41, 0x42, 0x43, 0x44];
const SHARED = needsHuge({ ...SOFTWARE, flags: ['init-shared'], guest: true });
const PRIVATE = needsHuge({ ...SOFTWARE, flags: ['init-private'], guest: true });

const allocateSubfolios = defineCase<HugePageSize>({
  name: 'huge_allocate_subfolios',
  about: 'Single pages of a shared huge page, touched from the last one down, each keep their byte (patch 45).',
  requires: SHARED,
  variants: hugeVariants,
  async run(t, hugePageSize) {
    const s = await HugeScenario.create(t, { hugePageSize, initially: 'shared' });
    const touched = [s.pages - 1, s.pages / 2, s.pages / 4, 1, 0];
    for (const [i, page] of touched.entries()) {
      await s.hostFinds(page, 0);
      await s.hostWrites(page, A + i);
    }
    for (const [i, page] of touched.entries()) await s.guestFinds(page, A + i);
    t.equal(await s.allocated(), 1, 'huge pages allocated');
  },
});

const convertSubfolios = defineCase<HugePageSize>({
  name: 'huge_convert_subfolios',
  about: 'One page of 4 KiB in the middle of a private huge page becomes shared and private again (patch 45).',
  requires: PRIVATE,
  variants: hugeVariants,
  async run(t, hugePageSize) {
    const s = await HugeScenario.create(t, { hugePageSize, initially: 'private' });
    const middle = s.pages / 2;
    for (const page of [0, middle]) await s.guestWrites(page, A);
    for (const page of [0, middle]) await s.hostIsRefused(page);
    await s.convert(middle, 1, 'shared');
    await s.hostFinds(middle, A);
    await s.hostWrites(middle, B);
    for (const page of [0, middle - 1, middle + 1]) await s.hostIsRefused(page);
    await s.guestFinds(0, A);
    await s.guestFinds(middle, B);
    for (const page of [0, middle]) await s.guestWrites(page, B);
    await s.convert(middle, 1, 'private');
    for (const page of [0, middle]) {
      await s.guestFinds(page, B);
      await s.guestWrites(page, C);
      await s.hostIsRefused(page);
    }
    t.equal(await s.allocated(), 1, 'huge pages allocated');
  },
});

const acrossTwo = defineCase<HugePageSize>({
  name: 'huge_convert_across_two',
  about: 'A range over the border of two huge pages is converted page by page, there and back, with its contents.',
  requires: PRIVATE,
  variants: hugeVariants,
  async run(t, hugePageSize) {
    const s = await HugeScenario.create(t, { hugePageSize, count: 2, initially: 'private' });
    const around = [s.pages - 2, s.pages - 1, s.pages, s.pages + 1];
    for (const [i, page] of around.entries()) await s.guestWrites(page, A + i);
    await s.convert(s.pages - 1, 2, 'shared');
    await s.hostIsRefused(s.pages - 2);
    await s.hostFinds(s.pages - 1, B);
    await s.hostFinds(s.pages, C);
    await s.hostIsRefused(s.pages + 1);
    await s.convert(s.pages - 1, 1, 'private');
    await s.hostIsRefused(s.pages - 1);
    await s.hostFinds(s.pages, C);
    await s.convert(s.pages, 1, 'private');
    for (const [i, page] of around.entries()) await s.guestFinds(page, A + i);
    t.equal(await s.allocated(), 2, 'huge pages allocated');
  },
});

const untouched = defineCase<HugePageSize>({
  name: 'huge_convert_unallocated',
  about: 'Where no huge page was allocated there is nothing to split; one that is allocated later is split at once.',
  requires: PRIVATE,
  variants: hugeVariants,
  async run(t, hugePageSize) {
    const s = await HugeScenario.create(t, { hugePageSize, count: 2, initially: 'private' });
    await s.convert(3, 1, 'shared');
    t.equal(await s.allocated(), 0, 'huge pages allocated by a conversion');
    await s.guestWrites(2, A);
    await s.hostFinds(3, 0);
    await s.hostIsRefused(2);
    await s.hostWrites(3, B);
    await s.convert(3, 1, 'private');
    await s.guestFinds(2, A);
    await s.guestFinds(3, B);
    t.equal(await s.allocated(), 1, 'huge pages allocated');
  },
});

const pinnedPart = defineCase<HugePageSize>({
  name: 'huge_convert_pinned_part',
  about:
    'References are checked for the pages that are converted and no others: a pin elsewhere in the huge page does not ' +
    'matter, and one inside is named by its offset (patches 12 and 38).',
  requires: (size) => ({ ...SHARED(size), pins: true }),
  variants: hugeVariants,
  async run(t, hugePageSize) {
    const s = await HugeScenario.create(t, { hugePageSize, initially: 'shared' });
    const pinned = 5;
    await s.hostWrites(pinned, A);
    const pin = t.pin(s.gmem, pinned * PAGE_SIZE, PAGE_SIZE);
    await s.convert(0, pinned, 'private');
    await s.convert(pinned + 1, s.pages - pinned - 1, 'private');
    const range = { offset: 0, size: bytesOf(hugePageSize), to: 'private' as const };
    const refusal = t.fails(await s.gmem.tryConvert(range), 'EAGAIN', 'converting the rest');
    t.equal(refusal.errorOffset, BigInt(pinned * PAGE_SIZE), 'error_offset');
    await s.hostFinds(pinned, A);
    pin.release();
    await s.convert(0, s.pages, 'private');
    await s.hostIsRefused(pinned);
    await s.guestFinds(pinned, A);
  },
});

const truncatePinned = defineCase<HugePageSize>({
  name: 'huge_truncate_shared_while_pinned',
  about: 'A hole over a shared huge page that is pinned is EAGAIN until the pin is gone (patches 39 and 44).',
  requires: (size) => ({ ...SHARED(size), pins: true }),
  variants: hugeVariants,
  async run(t, hugePageSize) {
    const size = bytesOf(hugePageSize);
    const s = await HugeScenario.create(t, { hugePageSize, initially: 'shared' });
    await s.gmem.allocate({ offset: 0, size });
    await s.hostWrites(7, A);
    const pin = t.pin(s.gmem, 7 * PAGE_SIZE, PAGE_SIZE);
    t.fails(await s.gmem.tryPunchHole({ offset: 0, size }), 'EAGAIN', 'punching while pinned');
    await s.hostFinds(7, A);
    t.equal(await s.allocated(), 1, 'huge pages allocated after EAGAIN');
    pin.release();
    await s.punch(0, s.pages);
    t.equal(await s.allocated(), 0, 'huge pages allocated after punching');
    await s.hostFinds(7, 0);
  },
});

const closeWithPinning = defineCase<{ readonly size: HugePageSize; readonly initially: State }>({
  name: 'huge_close_with_pinning',
  about:
    'VM, mapping and file can go while a page is pinned; the huge page is back in its pool once it is not (patch 44).',
  requires: ({ size, initially }) => ({ ...(initially === 'shared' ? SHARED(size) : PRIVATE(size)), pins: true }),
  variants: {
    'shared-2M': { size: '2M', initially: 'shared' },
    'private-2M': { size: '2M', initially: 'private' },
    'shared-1G': { size: '1G', initially: 'shared' },
    'private-1G': { size: '1G', initially: 'private' },
  },
  async run(t, { size, initially }) {
    const pool = await PoolWatch.start(t, size);
    const s = await HugeScenario.create(t, { hugePageSize: size, count: 2, initially });
    await s.gmem.allocate({ offset: 0, size: bytesOf(size) });
    const pin = initially === 'shared' ? t.pin(s.gmem, PAGE_SIZE, PAGE_SIZE) : undefined;
    await s.vm.close();
    await s.mapping.close();
    await s.gmem.close();
    if (pin) await pool.changedBy({ free: -1, reserved: 1 }, 'while a page is pinned');
    pin?.release();
    await pool.changedBy({}, 'when everything is gone');
  },
});

const mixedUse = defineCase<HugePageSize>({
  name: 'huge_merge_keeps_every_page',
  about: 'Of a huge page that is merged each page holds what it held, and those that nobody used read zero.',
  requires: SHARED,
  variants: hugeVariants,
  async run(t, hugePageSize) {
    const s = await HugeScenario.create(t, { hugePageSize, initially: 'shared' });
    const used = [3, s.pages / 2, s.pages - 1];
    for (const [i, page] of used.entries()) await s.hostWrites(page, A + i);
    await s.convert(0, s.pages, 'private');
    for (const [i, page] of used.entries()) await s.guestFinds(page, A + i);
    for (const page of [0, 4, s.pages - 2]) await s.guestFinds(page, 0);
    await s.guestWrites(0, D);
    await s.convert(0, s.pages, 'shared');
    await s.hostFinds(0, D);
    for (const [i, page] of used.entries()) await s.hostFinds(page, A + i);
  },
});

export const cases: readonly AnyCase[] = [
  allocateSubfolios,
  convertSubfolios,
  acrossTwo,
  untouched,
  pinnedPart,
  truncatePinned,
  closeWithPinning,
  mixedUse,
];
