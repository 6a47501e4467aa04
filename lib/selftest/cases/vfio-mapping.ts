/** One request, five address spaces, and up to four different answers: what may be mapped and unmapped. */

import { type ErrnoName, PAGE_SIZE } from '../../abi/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { IOVA, memory, PAGE } from '../dma.ts';
import { type DmaSpace, dmaSpace, isCompat, isNative, MODES, type Mode, modeRequires, outcome } from '../dma-modes.ts';

const U64_MAX = 0xffff_ffff_ffff_ffffn;
const AREA = 4n * PAGE;
const AREAS = [IOVA, IOVA + AREA] as const;

/** Two mappings of four pages each that touch. */
async function twoAreas(t: T, mode: Mode): Promise<DmaSpace> {
  const space = await dmaSpace(t, mode);
  const mapping = await memory(t, 8);
  for (const [i, iova] of AREAS.entries()) {
    t.succeeds(await space.map({ address: mapping, offset: i * 4 * PAGE_SIZE, length: AREA, iova }), `mapping ${i}`);
  }
  return space;
}

/** Bytes unmapped, or the errno's name. */
type Answer = bigint | ErrnoName;

interface Row {
  readonly range: { readonly iova: bigint; readonly length: bigint };
  readonly answers: Readonly<Record<'type1v2' | 'type1' | 'compat' | 'iommufd', Answer>>;
  /** Which of the two are there afterwards. */
  readonly left: Readonly<Record<'type1v2' | 'type1' | 'compat' | 'iommufd', readonly number[]>>;
}

const everywhere = <V>(value: V) => ({ type1v2: value, type1: value, compat: value, iommufd: value });
const BOTH = [0, 1];

/**
 * Type1's first version unmaps a mapping whose first page is asked for, whole; the second only whole mappings. iommufd's
 * container cuts nothing either, since only its first version may, where a device has no IOMMU.
 */
const ROWS: Readonly<Record<string, Row>> = {
  exact: { range: { iova: IOVA, length: AREA }, answers: everywhere(AREA), left: everywhere([1]) },
  superset: { range: { iova: IOVA, length: 3n * AREA }, answers: everywhere(2n * AREA), left: everywhere([]) },
  nothing: {
    range: { iova: 2n * IOVA, length: AREA },
    answers: { type1v2: 0n, type1: 0n, compat: 0n, iommufd: 'ENOENT' },
    left: everywhere(BOTH),
  },
  'head-half': {
    range: { iova: IOVA, length: AREA / 2n },
    answers: { type1v2: 'EINVAL', type1: AREA, compat: 'ENOENT', iommufd: 'ENOENT' },
    left: { type1v2: BOTH, type1: [1], compat: BOTH, iommufd: BOTH },
  },
  'tail-half': {
    range: { iova: IOVA + AREA / 2n, length: AREA / 2n },
    answers: { type1v2: 'EINVAL', type1: 0n, compat: 'ENOENT', iommufd: 'ENOENT' },
    left: everywhere(BOTH),
  },
  middle: {
    range: { iova: IOVA + PAGE, length: PAGE },
    answers: { type1v2: 'EINVAL', type1: 0n, compat: 'ENOENT', iommufd: 'ENOENT' },
    left: everywhere(BOTH),
  },
  'one-and-a-half': {
    range: { iova: IOVA, length: AREA + AREA / 2n },
    answers: { type1v2: 'EINVAL', type1: 2n * AREA, compat: 'ENOENT', iommufd: 'ENOENT' },
    left: { type1v2: BOTH, type1: [], compat: [1], iommufd: [1] },
  },
  'misaligned-where-nothing-is': {
    range: { iova: 2n * IOVA + 1n, length: PAGE },
    answers: { type1v2: 'EINVAL', type1: 'EINVAL', compat: 0n, iommufd: 'ENOENT' },
    left: everywhere(BOTH),
  },
};

const columnOf = (mode: Mode): keyof Row['answers'] => (isCompat(mode) ? 'compat' : (mode as keyof Row['answers']));

/** The second version's table, which iommufd's container keeps with either driver for a device with an IOMMU. */
const unmap = defineCase<{ mode: Mode; row: Row }>({
  name: 'vfio-unmap',
  about:
    'What is unmapped of two mappings, by a range that fits them or not; the four answers differ in all but two rows.',
  requires: ({ mode }) => modeRequires(mode),
  variants: Object.fromEntries(
    (['type1', 'type1v2', 'compat-type1v2', 'iommufd'] as const).flatMap((mode) =>
      Object.entries(ROWS).map(([name, row]) => [`${mode}-${name}`, { mode, row }]),
    ),
  ),
  async run(t, { mode, row }) {
    const space = await twoAreas(t, mode);
    const column = columnOf(mode);
    t.equal(outcome(await space.unmap(row.range)), row.answers[column], 'unmapping');
    const left: number[] = [];
    for (const [i, iova] of AREAS.entries()) {
      const attempt = await space.unmap({ iova, length: AREA });
      if (attempt.ok && attempt.value === AREA) left.push(i);
    }
    t.equal(left, [...row.left[column]], 'the mappings that were left');
  },
});

const cuts = defineCase({
  name: 'vfio-unmap-compat-type1',
  about: 'iommufd’s container with the first driver maps in single pages, so that any part can be unmapped.',
  requires: modeRequires('compat-type1'),
  async run(t) {
    const space = await twoAreas(t, 'compat-type1');
    const part = { iova: IOVA + PAGE, length: 2n * PAGE };
    const answer = outcome(await space.unmap(part));
    t.equal(answer, 2n * PAGE, 'unmapping the middle of a mapping');
    t.equal(outcome(await space.unmap({ iova: IOVA, length: AREA })), 2n * PAGE, 'unmapping what is left of it');
    t.equal(
      outcome(await space.unmap({ iova: IOVA + AREA / 2n, length: AREA })),
      AREA / 2n,
      'unmapping half of the other',
    );
  },
});

const map = defineCase<Mode>({
  name: 'vfio-map',
  about: 'Overlapping is EEXIST in all five; what is misaligned, empty or out of reach is EINVAL.',
  requires: modeRequires,
  variants: MODES,
  async run(t, mode) {
    const space = await twoAreas(t, mode);
    const mapping = await memory(t, 2);
    for (const iova of [IOVA, IOVA + PAGE, IOVA + AREA, IOVA - PAGE]) {
      t.fails(await space.map({ address: mapping, iova }), 'EEXIST', `mapping at 0x${iova.toString(16)}`);
    }
    for (const odd of [
      { iova: 2n * IOVA + 1n },
      { iova: 2n * IOVA, length: PAGE - 1n },
      { iova: 2n * IOVA, offset: 1, length: PAGE },
    ]) {
      t.fails(
        await space.map({ address: mapping, ...odd }),
        'EINVAL',
        `mapping ${Object.keys(odd).join(', ')} not aligned`,
      );
    }
    const ranges = await space.ranges();
    t.ok(ranges.length > 0, 'ranges');
    const { end } = ranges.at(-1)!;
    if (end !== U64_MAX)
      t.fails(await space.map({ address: mapping, iova: end + 1n }), 'EINVAL', 'mapping past the last range');
    t.equal(outcome(await space.unmapAll()), 2n * AREA, 'bytes mapped afterwards');
    t.equal(outcome(await space.unmapAll()), 0n, 'bytes mapped after all was unmapped');
  },
});

const badMemory = defineCase<Mode>({
  name: 'vfio-map-bad-memory',
  about: 'With a device there, memory that cannot be pinned is EFAULT at once, and nothing stays mapped.',
  requires: modeRequires,
  variants: MODES,
  async run(t, mode) {
    const space = await dmaSpace(t, mode);
    const mapping = await t.host.memory({ size: PAGE_SIZE });
    const { address } = mapping;
    await mapping.close();
    const piece = { address, length: PAGE, iova: IOVA };
    t.fails(await space.map(piece), 'EFAULT', 'mapping memory that is gone');
    t.succeeds(await space.map({ address: await memory(t, 1), iova: IOVA }), 'mapping memory that is there');
  },
});

const lowAndHigh = defineCase<Mode>({
  name: 'vfio-map-ends',
  about: 'The first and the last page of each range can be mapped, and the pages beside them cannot.',
  requires: modeRequires,
  variants: MODES,
  async run(t, mode) {
    const space = await dmaSpace(t, mode);
    const mapping = await memory(t, 1);
    for (const { start, end } of await space.ranges()) {
      for (const iova of [start, end - PAGE + 1n]) {
        t.succeeds(await space.map({ address: mapping, iova }), `mapping at 0x${iova.toString(16)}`);
        t.equal(outcome(await space.unmap({ iova, length: PAGE })), PAGE, 'unmapping it');
      }
      if (start > 0n)
        t.fails(await space.map({ address: mapping, iova: start - PAGE }), 'EINVAL', 'mapping before the start');
    }
  },
});

const whole = defineCase<Mode>({
  name: 'vfio-unmap-everything',
  about: 'A range from 0 of all ones is everything to iommufd, and no range to type1.',
  requires: modeRequires,
  variants: MODES,
  async run(t, mode) {
    const space = await twoAreas(t, mode);
    if (mode === 'iommufd') {
      t.equal(outcome(await space.unmapAll()), 2n * AREA, 'unmapping everything');
      return;
    }
    const answer = outcome(await space.unmap({ iova: 0n, length: U64_MAX }));
    t.equal(answer, isNative(mode) ? 'EINVAL' : 2n * AREA, 'unmapping a range of all ones');
  },
});

export const cases: readonly AnyCase[] = [unmap, cuts, map, badMemory, lowAndHigh, whole];
