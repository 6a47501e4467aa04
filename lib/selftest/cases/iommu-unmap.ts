/** IOMMU_IOAS_UNMAP and IOMMU_IOAS_COPY: areas go whole, and are copied in any pieces. */

import { type ErrnoName, IOMMU_IOAS_COPY, IOMMU_IOAS_UNMAP, PAGE_SIZE } from '../../abi/index.ts';
import type { Ioas } from '../../iommu/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { IOVA, ioas, iommufd, memory, PAGE } from '../dma.ts';

const requires = { iommufd: true } as const;
const U64_MAX = 0xffff_ffff_ffff_ffffn;

/** Areas of two pages each, from IOVA on: two that touch, and after a hole of one page a third. */
const AREAS = [IOVA, IOVA + 2n * PAGE, IOVA + 5n * PAGE];

async function threeAreas(t: T, space: Ioas): Promise<void> {
  const mapping = await memory(t, 2);
  for (const iova of AREAS) await space.map({ address: mapping, iova, writeable: iova !== AREAS[2] });
}

/** The areas that are there, by their number. */
async function areasLeft(space: Ioas): Promise<number[]> {
  const left: number[] = [];
  for (const [i, iova] of AREAS.entries()) if ((await space.tryUnmap({ iova, length: 2n * PAGE })).ok) left.push(i);
  return left;
}

interface Unmapped {
  readonly iova: bigint;
  readonly length: bigint;
  /** Bytes that were unmapped, or why none were. */
  readonly answer: bigint | ErrnoName;
  /** The areas that are there afterwards. */
  readonly left: readonly number[];
}

const unmap = defineCase<Unmapped>({
  name: 'iommu-unmap',
  about:
    'Only whole areas are unmapped. A range that cuts one is ENOENT, with the areas before it gone and the length in ' +
    'the struct as it was (iopt_unmap_iova_range()).',
  requires,
  variants: {
    exact: { iova: IOVA, length: 2n * PAGE, answer: 2n * PAGE, left: [1, 2] },
    two: { iova: IOVA, length: 4n * PAGE, answer: 4n * PAGE, left: [2] },
    'all-with-the-hole': { iova: IOVA, length: 7n * PAGE, answer: 6n * PAGE, left: [] },
    'more-than-all': { iova: 0n, length: 2n * IOVA, answer: 6n * PAGE, left: [] },
    'head-half': { iova: IOVA, length: PAGE, answer: 'ENOENT', left: [0, 1, 2] },
    'tail-half': { iova: IOVA + PAGE, length: PAGE, answer: 'ENOENT', left: [0, 1, 2] },
    'one-and-a-half': { iova: IOVA, length: 3n * PAGE, answer: 'ENOENT', left: [1, 2] },
    'the-hole': { iova: IOVA + 4n * PAGE, length: PAGE, answer: 'ENOENT', left: [0, 1, 2] },
    nothing: { iova: 4n * IOVA, length: PAGE, answer: 'ENOENT', left: [0, 1, 2] },
    'length-0': { iova: IOVA, length: 0n, answer: 'EINVAL', left: [0, 1, 2] },
    wraps: { iova: U64_MAX, length: 2n, answer: 'EOVERFLOW', left: [0, 1, 2] },
    everything: { iova: 0n, length: U64_MAX, answer: 6n * PAGE, left: [] },
    'all-ones-not-from-0': { iova: 1n, length: U64_MAX, answer: 'EOVERFLOW', left: [0, 1, 2] },
  },
  async run(t, { iova, length, answer, left }) {
    const file = await iommufd(t);
    const space = await ioas(t, file);
    await threeAreas(t, space);
    const attempt = await t.host.raw.tryIoctl(file, IOMMU_IOAS_UNMAP, { ioas_id: space.id, iova, length });
    if (typeof answer === 'bigint') t.succeeds(attempt, 'unmapping');
    else t.fails(attempt, answer, 'unmapping');
    t.equal(attempt.out.length, typeof answer === 'bigint' ? answer : length, 'the length in the struct afterwards');
    t.equal(await areasLeft(space), [...left], 'the areas afterwards');
  },
});

const empty = defineCase({
  name: 'iommu-unmap-of-nothing',
  about: 'Unmapping everything is fine where nothing is; a bad id is told before a bad range, other than in a map.',
  requires,
  async run(t) {
    const file = await iommufd(t);
    const space = await ioas(t, file);
    t.equal(t.succeeds(await space.tryUnmapAll(), 'unmapping everything'), 0n, 'bytes unmapped');
    t.fails(await space.tryUnmap({ iova: IOVA, length: PAGE }), 'ENOENT', 'unmapping a page');
    const bad = { ioas_id: 9999, iova: 1n, length: U64_MAX };
    t.fails(await t.host.raw.tryIoctl(file, IOMMU_IOAS_UNMAP, bad), 'ENOENT', 'with a bad id and a bad range');
  },
});

interface Copied {
  readonly from: bigint;
  readonly length: bigint;
  readonly code?: ErrnoName;
  readonly to?: bigint;
  readonly writeable?: boolean;
}

const copy = defineCase<Copied>({
  name: 'iommu-copy',
  about:
    'Any range without holes can be copied, also over several areas or part of one; write access only from memory ' +
    'that was mapped with it (iopt_get_pages(), iopt_map_pages()).',
  requires,
  variants: {
    exact: { from: IOVA, length: 2n * PAGE },
    part: { from: IOVA + PAGE, length: PAGE },
    'over-a-border': { from: IOVA + PAGE, length: 2n * PAGE },
    'with-a-hole': { from: IOVA, length: 7n * PAGE, code: 'ENOENT' },
    'past-the-end': { from: IOVA, length: 5n * PAGE, code: 'ENOENT' },
    nothing: { from: 4n * IOVA, length: PAGE, code: 'ENOENT' },
    'onto-something': { from: IOVA, length: PAGE, to: IOVA + PAGE, code: 'EEXIST' },
    'read-only-for-writing': { from: AREAS[2]!, length: PAGE, code: 'EPERM' },
    'read-only-for-reading': { from: AREAS[2]!, length: PAGE, writeable: false },
  },
  async run(t, { from, length, code, to = 2n * IOVA, writeable = true }) {
    const space = await ioas(t);
    await threeAreas(t, space);
    const attempt = await space.tryCopy({ sourceIova: from, length, iova: to, writeable });
    if (code) {
      t.fails(attempt, code, 'copying');
      t.equal(await areasLeft(space), [0, 1, 2], 'the areas afterwards');
      return;
    }
    t.equal(t.succeeds(attempt, 'copying'), to, 'where it is');
    t.equal(await areasLeft(space), [0, 1, 2], 'the areas copied from');
    t.equal(await space.unmap({ iova: to, length }), length, 'bytes at the copy, after the original was unmapped');
  },
});

const copyIds = defineCase({
  name: 'iommu-copy-ids',
  about: 'Copies go from one address space to another of the same file; ids that are not there are ENOENT.',
  requires,
  async run(t) {
    const file = await iommufd(t);
    const [from, to] = [await file.allocIoas(), await file.allocIoas()];
    const mapping = await memory(t, 1);
    await from.map({ address: mapping, iova: IOVA });
    t.equal(
      t.succeeds(await to.tryCopy({ from, sourceIova: IOVA, length: PAGE, iova: 0 }), 'copying'),
      0n,
      'where it is',
    );
    t.fails(await to.tryCopy({ from, sourceIova: IOVA, length: PAGE, iova: 0 }), 'EEXIST', 'copying again');
    for (const ids of [
      { dst_ioas_id: 9999, src_ioas_id: from.id },
      { dst_ioas_id: to.id, src_ioas_id: 9999 },
    ]) {
      const values = { flags: 7, ...ids, length: PAGE, src_iova: IOVA, dst_iova: IOVA };
      t.fails(await t.host.raw.tryIoctl(file, IOMMU_IOAS_COPY, values), 'ENOENT', 'with an id that is not there');
    }
    const none = { flags: 1, dst_ioas_id: to.id, src_ioas_id: from.id, length: PAGE, src_iova: IOVA, dst_iova: IOVA };
    t.fails(await t.host.raw.tryIoctl(file, IOMMU_IOAS_COPY, none), 'EINVAL', 'with no access');
    t.fails(
      await t.host.raw.tryIoctl(file, IOMMU_IOAS_COPY, { ...none, flags: 7, length: 0n }),
      'EINVAL',
      'of nothing',
    );
  },
});

const all = defineCase({
  name: 'iommu-map-all-or-none',
  about: 'Several maps as one: where the third is refused the first two go again, and the refusal is the third’s.',
  requires,
  async run(t) {
    const space = await ioas(t);
    const mapping = await memory(t, 4);
    const piece = (page: number) => ({
      address: mapping,
      offset: page * PAGE_SIZE,
      length: PAGE,
      iova: IOVA + BigInt(page) * PAGE,
    });
    await space.map(piece(2));
    const { error } = t.fails(await space.tryMapAll([piece(0), piece(1), piece(2)]), 'EEXIST', 'mapping three');
    t.equal(error.completed, 2, 'pieces mapped before');
    t.equal(error.undoing, undefined, 'what went wrong while undoing');
    t.equal(await space.unmapAll(), PAGE, 'bytes mapped afterwards');
    t.equal(
      t.succeeds(await space.tryMapAll([piece(0), piece(1), piece(2)]), 'mapping three where nothing is'),
      [IOVA, IOVA + PAGE, IOVA + 2n * PAGE],
      'where they are',
    );
  },
});

export const cases: readonly AnyCase[] = [unmap, empty, copy, copyIds, all];
