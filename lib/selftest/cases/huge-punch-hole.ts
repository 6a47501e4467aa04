/** Holes in huge pages: whole ones go, parts are zeroed where they are (RFC v2 patch 39). */

import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, type HugePageSize, PAGE_SIZE } from '../../abi/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { hugeVariants, needsHuge, PoolWatch } from '../huge.ts';
import { HugeScenario, SOFTWARE } from '../huge-scenario.ts';
import { bytesOf } from '../huge-size.ts';

const SHARED = needsHuge({ ...SOFTWARE, flags: ['init-shared'], guest: true });
const PRIVATE = needsHuge({ ...SOFTWARE, flags: ['init-private'], guest: true });
const A = 0x41;

const parts = defineCase<HugePageSize>({
  name: 'huge_punch_head_whole_and_tail',
  about:
    'A hole from within one huge page into another: the whole ones between are freed, and the parts at its ends are ' +
    'zeroed and stay; nothing outside it changes (patch 39).',
  requires: SHARED,
  variants: hugeVariants,
  async run(t, hugePageSize) {
    const s = await HugeScenario.create(t, { hugePageSize, count: 3, initially: 'shared' });
    const P = s.pages;
    const outside = [P - 3, 2 * P + 2];
    const inside = [P - 2, P - 1, P, 2 * P - 1, 2 * P, 2 * P + 1];
    for (const page of [...outside, ...inside]) await s.hostWrites(page, A);
    const pool = await PoolWatch.start(t, hugePageSize);
    await s.punch(P - 2, P + 4);
    await pool.changedBy({ free: 1, reserved: 1 }, 'after punching');
    t.equal(await s.allocated(), 2, 'huge pages allocated');
    for (const page of outside) await s.hostFinds(page, A);
    for (const page of inside) await s.hostFinds(page, 0);
  },
});

const withinOne = defineCase<HugePageSize>({
  name: 'huge_punch_within_one',
  about: 'A hole within one huge page, private or shared, zeroes exactly its pages and frees nothing (patch 39).',
  requires: PRIVATE,
  variants: hugeVariants,
  async run(t, hugePageSize) {
    const s = await HugeScenario.create(t, { hugePageSize, initially: 'private' });
    const use = async (byte: number) => {
      for (const page of [3, 4, 5, 6]) await s.guestWrites(page, byte);
      await s.punch(4, 2);
      for (const page of [3, 6]) await s.guestFinds(page, byte);
      for (const page of [4, 5]) await s.guestFinds(page, 0);
      t.equal(await s.allocated(), 1, 'huge pages allocated');
    };
    await use(A);
    await s.convert(0, s.pages, 'shared');
    await use(A + 1);
    await s.hostFinds(3, A + 1);
    await s.hostFinds(4, 0);
  },
});

const pinnedPart = defineCase<HugePageSize>({
  name: 'huge_punch_part_while_pinned',
  about: 'A part is zeroed where it is, also while it is pinned: the pinner sees it (patch 39).',
  requires: (size) => ({ ...SHARED(size), pins: true }),
  variants: hugeVariants,
  async run(t, hugePageSize) {
    const s = await HugeScenario.create(t, { hugePageSize, initially: 'shared' });
    await s.hostWrites(4, A);
    const pin = t.pin(s.gmem, 4 * PAGE_SIZE, PAGE_SIZE);
    await s.punch(4, 1);
    t.equal(pin.read()[0], 0, 'what the pinner finds');
    await s.hostWrites(4, A + 1);
    t.equal(pin.read()[0], A + 1, 'what the pinner finds of what the host writes then');
  },
});

const stopsAtPin = defineCase<HugePageSize>({
  name: 'huge_punch_stops_at_a_pin',
  about:
    'EAGAIN at one huge page: those before it are gone, it and those behind it are not, and the parts at both ends are ' +
    'zeroed (patch 39).',
  requires: (size) => ({ ...SHARED(size), pins: true }),
  variants: hugeVariants,
  async run(t, hugePageSize) {
    const s = await HugeScenario.create(t, { hugePageSize, count: 4, initially: 'shared' });
    const P = s.pages;
    const pages = [P - 1, P, 2 * P, 3 * P, 3 * P + 1];
    for (const page of pages) await s.hostWrites(page, A);
    t.pin(s.gmem, 2 * P * PAGE_SIZE, PAGE_SIZE);
    const hole = { offset: (P - 1) * PAGE_SIZE, size: 2 * bytesOf(hugePageSize) + 2 * PAGE_SIZE };
    t.fails(await s.gmem.tryPunchHole(hole), 'EAGAIN', 'punching');
    t.equal(await s.allocated(), 3, 'huge pages allocated');
    for (const page of [P - 1, P, 3 * P]) await s.hostFinds(page, 0);
    for (const page of [2 * P, 3 * P + 1]) await s.hostFinds(page, A);
  },
});

const keepsState = defineCase<HugePageSize>({
  name: 'huge_punch_keeps_state',
  about: 'What is allocated in a hole is private and shared page by page as before, and so is split again (patch 12).',
  requires: PRIVATE,
  variants: hugeVariants,
  async run(t, hugePageSize) {
    const s = await HugeScenario.create(t, { hugePageSize, initially: 'private' });
    await s.convert(1, 1, 'shared');
    await s.hostWrites(1, A);
    await s.guestWrites(2, A);
    await s.punch(0, s.pages);
    t.equal(await s.allocated(), 0, 'huge pages allocated');
    await s.hostFinds(1, 0);
    await s.hostIsRefused(2);
    await s.guestFinds(2, 0);
  },
});

const neverUsed = defineCase<HugePageSize>({
  name: 'huge_punch_never_used',
  about: 'A hole over huge pages of which one was never used answers 0, frees the other and nothing else (patch 39).',
  requires: SHARED,
  variants: hugeVariants,
  async run(t, hugePageSize) {
    const s = await HugeScenario.create(t, { hugePageSize, count: 2, initially: 'shared' });
    await s.hostWrites(0, A);
    const mode = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE;
    const size = 2n * BigInt(bytesOf(hugePageSize));
    t.equal(await t.host.raw.syscalls.fallocate(s.gmem.fd, mode, 0n, size), 0, 'what fallocate answers');
    t.equal(await s.allocated(), 0, 'huge pages allocated');
    for (const page of [0, s.pages]) await s.hostFinds(page, 0);
  },
});

export const cases: readonly AnyCase[] = [parts, withinOne, pinnedPart, stopsAtPin, keepsState, neverUsed];
