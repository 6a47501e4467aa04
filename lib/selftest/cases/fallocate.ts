/** fallocate(2): what it is refused for, in which order, and what allocating does. Holes are in `punch-hole.ts`. */

import {
  type ErrnoName,
  FALLOC_FL_COLLAPSE_RANGE,
  FALLOC_FL_INSERT_RANGE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_UNSHARE_RANGE,
  FALLOC_FL_ZERO_RANGE,
  PAGE_SIZE,
} from '../../abi/index.ts';
import { fallocate, MemoryUse } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { PATTERN, PatternFile } from '../pattern.ts';

const P = BigInt(PAGE_SIZE);
const END = 4n * P;
const MAX = (1n << 63n) - 1n;
const KEEP = FALLOC_FL_KEEP_SIZE;
const PUNCH = FALLOC_FL_PUNCH_HOLE;
const UNKNOWN = 1 << 8;

type Row = readonly [mode: number, offset: bigint, length: bigint, code: ErrnoName];

const refused = defineCase<Row>({
  name: 'fallocate-refused',
  about:
    'In this order: an empty or negative range (EINVAL), a mode nobody knows (EOPNOTSUPP), past 2^63 (EFBIG), a mode ' +
    'without KEEP_SIZE or other than PUNCH_HOLE (EOPNOTSUPP), misalignment, allocating past the end (EINVAL): ' +
    'vfs_fallocate(), kvm_gmem_fallocate().',
  requires: PATTERN,
  variants: {
    'negative-offset': [KEEP, -P, P, 'EINVAL'],
    'negative-offset-before-the-mode': [UNKNOWN, -P, P, 'EINVAL'],
    'no-length': [KEEP, 0n, 0n, 'EINVAL'],
    'no-length-before-the-mode': [UNKNOWN, 0n, 0n, 'EINVAL'],
    'negative-length': [KEEP, 0n, -P, 'EINVAL'],
    'negative-length-before-the-mode': [0, P, -P, 'EINVAL'],
    'negative-length-of-a-hole': [KEEP | PUNCH, P, -P, 'EINVAL'],
    'no-keep-size': [0, 0n, P, 'EOPNOTSUPP'],
    'no-keep-size-before-alignment': [0, 1n, P, 'EOPNOTSUPP'],
    'no-keep-size-before-the-end': [0, END, P, 'EOPNOTSUPP'],
    'hole-without-keep-size': [PUNCH, 0n, P, 'EOPNOTSUPP'],
    'hole-without-keep-size-before-alignment': [PUNCH, 1n, 1n, 'EOPNOTSUPP'],
    'zero-range': [FALLOC_FL_ZERO_RANGE, 0n, P, 'EOPNOTSUPP'],
    'zero-range-keeping-size': [KEEP | FALLOC_FL_ZERO_RANGE, 0n, P, 'EOPNOTSUPP'],
    'zero-range-before-alignment': [KEEP | FALLOC_FL_ZERO_RANGE, 1n, P, 'EOPNOTSUPP'],
    'collapse-range': [FALLOC_FL_COLLAPSE_RANGE, 0n, P, 'EOPNOTSUPP'],
    'insert-range': [FALLOC_FL_INSERT_RANGE, 0n, P, 'EOPNOTSUPP'],
    'unshare-range': [KEEP | FALLOC_FL_UNSHARE_RANGE, 0n, P, 'EOPNOTSUPP'],
    'hole-and-zero-range': [KEEP | PUNCH | FALLOC_FL_ZERO_RANGE, 0n, P, 'EOPNOTSUPP'],
    'hole-and-an-unknown-bit': [KEEP | PUNCH | UNKNOWN, 0n, P, 'EOPNOTSUPP'],
    'unknown-bit': [KEEP | UNKNOWN, 0n, P, 'EOPNOTSUPP'],
    'unknown-bit-before-past-2-63': [KEEP | UNKNOWN, MAX - P + 1n, P, 'EOPNOTSUPP'],
    'hole-without-keep-size-before-past-2-63': [PUNCH, MAX - P + 1n, P, 'EOPNOTSUPP'],
    'past-2-63': [KEEP, MAX - P + 1n, P, 'EFBIG'],
    'hole-past-2-63': [KEEP | PUNCH, MAX - P + 1n, P, 'EFBIG'],
    'past-2-63-before-keep-size': [0, MAX - P + 1n, P, 'EFBIG'],
    'past-2-63-before-zero-range': [KEEP | FALLOC_FL_ZERO_RANGE, MAX - P + 1n, P, 'EFBIG'],
    'past-2-63-before-alignment': [KEEP, 1n, MAX, 'EFBIG'],
    'misaligned-offset': [KEEP, 1n, P, 'EINVAL'],
    'misaligned-offset-of-half-a-page': [KEEP, P / 2n, P, 'EINVAL'],
    'misaligned-length': [KEEP, 0n, P - 1n, 'EINVAL'],
    'misaligned-length-of-a-byte-more': [KEEP, 0n, P + 1n, 'EINVAL'],
    'misaligned-both': [KEEP, 512n, P - 512n, 'EINVAL'],
    'past-the-end': [KEEP, END, P, 'EINVAL'],
    'far-past-the-end': [KEEP, 5n * P, P, 'EINVAL'],
    'past-the-end-in-part': [KEEP, END - P, 2n * P, 'EINVAL'],
    'all-and-a-page': [KEEP, 0n, END + P, 'EINVAL'],
    'just-below-2-63': [KEEP, MAX - 2n * P + 1n, P, 'EINVAL'],
  },
  async run(t, [mode, offset, length, code]) {
    const file = await PatternFile.create(t);
    const before = await file.gmem.stat();
    const memory = new MemoryUse(t);
    const what = `fallocate mode 0x${mode.toString(16)} of ${length} bytes at ${offset}`;
    t.fails(await fallocate(t, file.gmem, mode, offset, length), code, what);
    await file.isIntact('afterwards');
    t.equal(await file.gmem.stat(), before, 'fstat afterwards');
    memory.grewBy(0, 'afterwards');
  },
});

const sequence = defineCase({
  name: 'fallocate',
  about: 'The steps of the kernel’s own test, each with its answer (guest_memfd_test, test_fallocate).',
  requires: PATTERN,
  async run(t) {
    const { gmem } = await PatternFile.create(t);
    const steps: readonly (readonly [what: string, mode: number, offset: bigint, length: bigint, code?: ErrnoName])[] =
      [
        ['allocating everything', KEEP, 0n, END],
        ['a hole at a misaligned offset', KEEP | PUNCH, P - 1n, P, 'EINVAL'],
        ['allocating at the end', KEEP, END, P, 'EINVAL'],
        ['allocating past the end', KEEP, END + P, P, 'EINVAL'],
        ['a hole at the end', KEEP | PUNCH, END, P],
        ['a hole past the end', KEEP | PUNCH, END + P, P],
        ['a hole of a misaligned length', KEEP | PUNCH, P, P - 1n, 'EINVAL'],
        ['a hole', KEEP | PUNCH, P, P],
        ['the same hole again', KEEP | PUNCH, P, P],
        ['filling the hole', KEEP, P, P],
      ];
    for (const [what, mode, offset, length, code] of steps) {
      const answer = await fallocate(t, gmem, mode, offset, length);
      if (code === undefined) t.equal(t.succeeds(answer, what), 0, `${what}: the answer`);
      else t.fails(answer, code, what);
    }
  },
});

const allocate = defineCase({
  name: 'fallocate-keeps-contents',
  about: 'Allocating changes nothing that is there; what was not there reads 0 (kvm_gmem_allocate()).',
  requires: PATTERN,
  async run(t) {
    const file = await PatternFile.create(t, { written: false });
    await file.write(1, 0x44);
    t.succeeds(await file.gmem.tryAllocate({ offset: 0, size: file.size }), 'allocating everything');
    await file.isIntact('after allocating everything');
    t.succeeds(await file.gmem.tryAllocate({ offset: PAGE_SIZE, size: PAGE_SIZE }), 'allocating a page again');
    await file.isIntact('after allocating a page again');
  },
});

const unmapped = defineCase({
  name: 'fallocate-unmapped',
  about: 'A file that cannot be mapped is allocated and punched all the same (kvm_gmem_fallocate()).',
  async run(t) {
    const gmem = await t.gmem(await t.vm(), { size: END });
    const memory = new MemoryUse(t);
    t.succeeds(await gmem.tryAllocate({ offset: P, size: 2n * P }), 'allocating two pages');
    memory.grewBy(2, 'after allocating two');
    t.succeeds(await gmem.tryPunchHole({ offset: 0, size: END }), 'punching everything');
    memory.grewBy(0, 'after punching everything');
    t.fails(await gmem.tryAllocate({ offset: END, size: P }), 'EINVAL', 'allocating past the end');
  },
});

interface Stop {
  readonly code: ErrnoName;
  /** Pages that are allocated before it comes. */
  readonly after: number;
}

const stopped = defineCase<Stop>({
  name: 'fallocate-stopped',
  about:
    'A signal (EINTR) or a lack of memory (ENOMEM) ends an allocation; the pages it got stay, and the next one goes ' +
    'on from there (kvm_gmem_allocate()).',
  requires: { ...PATTERN, faults: true },
  variants: {
    'signal-at-once': { code: 'EINTR', after: 0 },
    'signal-after-two': { code: 'EINTR', after: 2 },
    'no-memory-at-once': { code: 'ENOMEM', after: 0 },
    'no-memory-after-three': { code: 'ENOMEM', after: 3 },
  },
  async run(t, { code, after }) {
    const file = await PatternFile.create(t, { written: false });
    const memory = new MemoryUse(t);
    const range = { offset: 0, size: file.size };
    if (code === 'EINTR') t.mock.faults.interruptAllocate(after);
    else t.mock.faults.failAllocation(after + 1, 'page');
    t.fails(await file.gmem.tryAllocate(range), code, 'allocating everything');
    memory.grewBy(after, 'after the failure');
    t.succeeds(await file.gmem.tryAllocate(range), 'allocating again');
    memory.grewBy(file.pages, 'after allocating again');
    await file.isIntact('afterwards');
  },
});

export const cases: readonly AnyCase[] = [sequence, refused, allocate, unmapped, stopped];
