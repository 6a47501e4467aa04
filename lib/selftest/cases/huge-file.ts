/** A guest_memfd of huge pages as a file: guest_memfd_test of RFC v2 (patches 42 and 51) for each size, and its limits. */

import {
  errno,
  GUEST_MEMFD_FLAG_HUGETLB,
  GUESTMEM_HUGETLB_FLAG_SHIFT,
  type HugePageSize,
  hugePageFile,
  hugePageFlags,
  PAGE_SIZE,
} from '../../abi/index.ts';
import { create, fallocate, mmap } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { hugeVariants, needsHuge, PoolWatch } from '../huge.ts';
import { bytesOf } from '../huge-size.ts';

const KEEP_SIZE = 1;
const PUNCH = 3;

const multiple = defineCase<HugePageSize>({
  name: 'huge_create_guest_memfd_multiple',
  about: 'Two files of huge pages are two inodes of their own sizes (guest_memfd_test, patch 42).',
  requires: needsHuge(),
  variants: hugeVariants,
  async run(t, hugePageSize) {
    const size = bytesOf(hugePageSize);
    const vm = await t.vm();
    const one = await t.gmem(vm, { size, hugePageSize });
    const before = await one.stat();
    const two = await t.gmem(vm, { size: 2 * size, hugePageSize });
    const stat = await two.stat();
    t.equal([before.size, stat.size], [BigInt(size), BigInt(2 * size)], 'st_size');
    t.equal([before.blksize, stat.blksize], [size, size], 'st_blksize');
    t.notEqual(before.ino, stat.ino, 'the inode numbers');
    t.equal(await one.stat(), before, 'the first file');
  },
});

const invalidSizes = defineCase<HugePageSize>({
  name: 'huge_create_guest_memfd_invalid_sizes',
  about: 'A file must be a multiple of its huge pages, and they of a size that the kernel has (patches 41 and 42).',
  requires: needsHuge(),
  variants: hugeVariants,
  async run(t, hugePageSize) {
    const huge = bytesOf(hugePageSize);
    const vm = await t.vm();
    for (const size of [1, PAGE_SIZE, huge / 2, huge - PAGE_SIZE, huge + PAGE_SIZE, huge + huge / 2]) {
      const what = `a file of ${size} bytes in huge pages of ${hugePageSize}`;
      t.fails(await create(t, vm, { size, flags: hugePageFlags(hugePageSize) }), 'EINVAL', what);
    }
    for (const shift of [1n, 12n, 22n, 40n, 63n]) {
      const flags = GUEST_MEMFD_FLAG_HUGETLB | (shift << GUESTMEM_HUGETLB_FLAG_SHIFT);
      t.fails(await create(t, vm, { size: 1n << 34n, flags }), 'EINVAL', `huge pages of 2^${shift} bytes`);
    }
  },
});

const poolTooSmall = defineCase<HugePageSize>({
  name: 'huge_create_reserves_at_once',
  about:
    'Huge pages are set aside when the file is made: one more than the pool has is ENOMEM then, which names the file ' +
    'that says how many there are (patch 46; guestmem_hugetlb_setup()).',
  requires: needsHuge(),
  variants: hugeVariants,
  async run(t, hugePageSize) {
    const pool = await PoolWatch.start(t, hugePageSize);
    const { free, reserved, overcommit } = pool.before;
    if (overcommit > 0) t.skip(`needs ${hugePageFile(hugePageSize, 'nr_overcommit_hugepages')} to be 0`);
    const vm = await t.vm();
    const size = BigInt(bytesOf(hugePageSize)) * BigInt(free - reserved + 1);
    const { error } = t.fails(await vm.tryCreateGuestMemfd({ size, hugePageSize }), 'ENOMEM', 'one huge page too many');
    t.ok(error.message.includes(hugePageFile(hugePageSize, 'nr_hugepages')), 'the error names the pool');
    await pool.changedBy({}, 'after the refusal');
  },
});

const stateOfPool = defineCase<HugePageSize>({
  name: 'huge_reporting',
  about:
    'Creation reserves, allocation takes, a hole gives back to the reservation, and close gives everything back ' +
    '(guest_memfd_hugetlb_reporting_test, patch 46).',
  requires: needsHuge(),
  variants: hugeVariants,
  async run(t, hugePageSize) {
    const size = bytesOf(hugePageSize);
    const pool = await PoolWatch.start(t, hugePageSize);
    const gmem = await t.gmem(await t.vm(), { size, hugePageSize });
    await pool.changedBy({ reserved: 1 }, 'with the file');
    await gmem.allocate({ offset: 0, size });
    await pool.changedBy({ free: -1 }, 'after fallocate');
    await gmem.punchHole({ offset: 0, size });
    await pool.changedBy({ reserved: 1 }, 'after punching');
    await gmem.allocate({ offset: 0, size });
    await gmem.close();
    await pool.changedBy({}, 'after close');
  },
});

const allocates = defineCase<HugePageSize>({
  name: 'huge_fallocate',
  about:
    'fallocate counts in huge pages, both ends rounded down, and st_blocks follows exactly (guest_memfd_test, ' +
    'test_fallocate, patch 51; kvm_gmem_allocate()).',
  requires: needsHuge(),
  variants: hugeVariants,
  async run(t, hugePageSize) {
    const P = bytesOf(hugePageSize);
    const gmem = await t.gmem(await t.vm(), { size: 4 * P, hugePageSize });
    const step = async (mode: number, offset: number, length: number, answer: 'ok' | 'EINVAL', blocks: number) => {
      const what = `${mode === PUNCH ? 'punching' : 'allocating'} ${offset / P}+${length / P} huge pages`;
      const outcome = await fallocate(t, gmem, mode, offset, length);
      if (answer === 'ok') t.succeeds(outcome, what);
      else t.fails(outcome, answer, what);
      t.equal((await gmem.stat()).blocks, BigInt((blocks * P) / 512), `st_blocks after ${what}`);
    };
    await step(KEEP_SIZE, 0, 4 * P, 'ok', 4);
    await step(PUNCH, P - 1, P, 'EINVAL', 4);
    await step(KEEP_SIZE, 4 * P, P, 'EINVAL', 4);
    await step(KEEP_SIZE, 5 * P, P, 'EINVAL', 4);
    await step(PUNCH, 4 * P, P, 'ok', 4);
    await step(PUNCH, 5 * P, P, 'ok', 4);
    await step(PUNCH, P, P - 1, 'EINVAL', 4);
    await step(PUNCH, P, P, 'ok', 3);
    await step(PUNCH, P, P, 'ok', 3);
    await step(KEEP_SIZE, P, P - PAGE_SIZE, 'ok', 3);
    await step(KEEP_SIZE, P + PAGE_SIZE, PAGE_SIZE, 'ok', 3);
    await step(KEEP_SIZE, P + PAGE_SIZE, P - PAGE_SIZE, 'ok', 4);
    await step(PUNCH, P, P, 'ok', 3);
    await step(KEEP_SIZE, P, P, 'ok', 4);
    await step(PUNCH, P + PAGE_SIZE, P - PAGE_SIZE, 'ok', 4);
    await step(PUNCH, P - PAGE_SIZE, P + PAGE_SIZE, 'ok', 3);
  },
});

interface Stop {
  readonly initially: 'shared' | 'private';
  /** Pages that are allocated before the signal. */
  readonly after: number;
  /** Huge pages that the file has then. */
  readonly leaves: number;
  readonly answer: 'ok' | 'EINTR';
}

/** Of two huge pages, behind one that nobody asks for. */
const interrupted = defineCase<Stop>({
  name: 'huge_fallocate_interrupted',
  about:
    'A signal is seen between any two folios: between whole huge pages, and between the pages of one that is split; all of ' +
    'a huge page that was begun stays (kvm_gmem_allocate()).',
  requires: { hugePageSize: '2M', flags: ['init-shared', 'init-private'], faults: true },
  variants: {
    'at-once': { initially: 'private', after: 0, leaves: 0, answer: 'EINTR' },
    'inside-a-whole-one': { initially: 'private', after: 1, leaves: 1, answer: 'EINTR' },
    'between-whole-ones': { initially: 'private', after: 512, leaves: 1, answer: 'EINTR' },
    'inside-the-last-whole-one': { initially: 'private', after: 1023, leaves: 2, answer: 'ok' },
    'inside-a-split-one': { initially: 'shared', after: 1, leaves: 1, answer: 'EINTR' },
    'before-the-end-of-a-split-one': { initially: 'shared', after: 511, leaves: 1, answer: 'EINTR' },
    'between-split-ones': { initially: 'shared', after: 512, leaves: 1, answer: 'EINTR' },
    'before-the-end-of-the-last-split-one': { initially: 'shared', after: 1023, leaves: 2, answer: 'EINTR' },
    'after-the-last-split-one': { initially: 'shared', after: 1024, leaves: 2, answer: 'ok' },
  },
  async run(t, { initially, after, leaves, answer }) {
    const P = bytesOf('2M');
    const gmem = await t.gmem(await t.vm(), { size: 3 * P, mmap: true, initially, hugePageSize: '2M' });
    t.mock.faults.interruptAllocate(after);
    const outcome = await gmem.tryAllocate({ offset: P, size: 2 * P });
    if (answer === 'ok') t.succeeds(outcome, 'allocating');
    else t.fails(outcome, answer, 'allocating');
    t.equal((await gmem.stat()).blocks, BigInt((leaves * P) / 512), 'st_blocks afterwards');
    t.mock.faults.reset();
  },
});

const withoutMemory = defineCase<'shared' | 'private'>({
  name: 'huge_fallocate_without_memory_at_any_point',
  about:
    'Whichever allocation fails, the page cache’s or those of a split, the answer is ENOMEM and the huge page is back in ' +
    'the pool (kvm_gmem_get_folio(), patch 38).',
  requires: { hugePageSize: '2M', flags: ['init-shared', 'init-private'], faults: true },
  variants: { shared: 'shared', private: 'private' },
  async run(t, initially) {
    const size = bytesOf('2M');
    const pool = await PoolWatch.start(t, '2M');
    const gmem = await t.gmem(await t.vm(), { size, mmap: true, initially, hugePageSize: '2M' });
    for (let nth = 1; ; nth += 1) {
      t.mock.faults.reset();
      t.mock.faults.failAllocation(nth);
      const outcome = await gmem.tryAllocate({ offset: 0, size });
      t.mock.faults.reset();
      if (outcome.ok) {
        t.ok(nth > 1, 'an allocation was made to fail');
        break;
      }
      t.fails(outcome, 'ENOMEM', `allocating when allocation ${nth} fails`);
      t.equal((await gmem.stat()).blocks, 0n, 'st_blocks afterwards');
      await pool.changedBy({ reserved: 1 }, 'after the refusal');
    }
    await pool.changedBy({ free: -1 }, 'at last');
  },
});

const invalidPunch = defineCase<HugePageSize>({
  name: 'huge_invalid_punch_hole',
  about: 'Holes are made of whole pages of 4 KiB, also in huge pages (guest_memfd_test, test_invalid_punch_hole).',
  requires: needsHuge(),
  variants: hugeVariants,
  async run(t, hugePageSize) {
    const P = bytesOf(hugePageSize);
    const gmem = await t.gmem(await t.vm(), { size: 4 * P, hugePageSize });
    for (const offset of [0, 1, P]) {
      for (const length of [1, P - 1, P, P + 1].filter((one) => offset === 1 || one !== P)) {
        t.fails(await fallocate(t, gmem, PUNCH, offset, length), 'EINVAL', `punching ${offset}+${length}`);
      }
    }
  },
});

const maps = defineCase<HugePageSize>({
  name: 'huge_mmap',
  about:
    'A mapping is a multiple of the huge page long and begins at one; that is looked at before the file is asked ' +
    '(kvm_gmem_get_unmapped_area(); test_mmap_denied).',
  requires: needsHuge({ flags: ['init-shared'] }),
  variants: hugeVariants,
  async run(t, hugePageSize) {
    const P = bytesOf(hugePageSize);
    const vm = await t.vm();
    const gmem = await t.gmem(vm, { size: 2 * P, mmap: true, initially: 'shared', hugePageSize });
    for (const length of [P, 2 * P]) {
      const address = t.succeeds(await mmap(t, gmem, { length }), `mapping ${length} bytes`);
      t.equal(address % BigInt(P), 0n, 'where the mapping begins in its huge page');
    }
    t.succeeds(await mmap(t, gmem, { length: P, offset: PAGE_SIZE }), 'mapping from within a huge page');
    for (const length of [PAGE_SIZE, P / 2, P + PAGE_SIZE]) {
      t.fails(await mmap(t, gmem, { length }), 'EINVAL', `mapping ${length} bytes`);
    }
    const unmapped = await t.gmem(vm, { size: P, hugePageSize });
    t.fails(await mmap(t, unmapped, { length: P }), 'ENODEV', 'mapping a file that cannot be mapped');
    t.fails(await mmap(t, unmapped, { length: PAGE_SIZE }), 'EINVAL', 'mapping a page of it');
  },
});

const faults = defineCase<HugePageSize>({
  name: 'huge_faulting_allowed',
  about: 'Shared huge pages are there for the host, zero at first and again after a hole (test_fault_allowed).',
  requires: needsHuge({ flags: ['init-shared'] }),
  variants: hugeVariants,
  async run(t, hugePageSize) {
    const P = bytesOf(hugePageSize);
    const gmem = await t.gmem(await t.vm(), { size: 4 * P, mmap: true, initially: 'shared', hugePageSize });
    const mapping = await t.map(gmem);
    const places = Array.from({ length: 8 }, (_, i) => (i * P) / 2);
    const holds = async (wanted: (at: number) => number, what: string) => {
      for (const at of places) t.equal((await mapping.read(at, 1))[0], wanted(at), `${what}: the byte at ${at}`);
    };
    await holds(() => 0, 'at first');
    for (const at of places) await mapping.write(at, Uint8Array.of(0xaa));
    await holds(() => 0xaa, 'once written');
    await gmem.punchHole({ offset: 0, size: P });
    await holds((at) => (at < P ? 0 : 0xaa), 'after punching');
    for (const at of places) await mapping.write(at, Uint8Array.of(0xaa));
    await holds(() => 0xaa, 'once written again');
  },
});

const refuses = defineCase<HugePageSize>({
  name: 'huge_faulting_sigbus',
  about: 'Private huge pages can be mapped and not be touched (test_fault_sigbus).',
  requires: needsHuge({ flags: ['init-private'] }),
  variants: hugeVariants,
  async run(t, hugePageSize) {
    const P = bytesOf(hugePageSize);
    const gmem = await t.gmem(await t.vm(), { size: P, mmap: true, initially: 'private', hugePageSize });
    const mapping = await t.map(gmem);
    for (const at of [0, P / 2, P - PAGE_SIZE]) await isRefused(t, mapping.address + BigInt(at));
  },
});

async function isRefused(t: T, address: bigint): Promise<void> {
  const { syscalls } = t.host.raw;
  t.equal(await syscalls.copyIn(address, Uint8Array.of(1)), -errno.EFAULT, 'the host writes private memory');
  t.equal(await syscalls.copyOut(address, new Uint8Array(1)), -errno.EFAULT, 'the host reads private memory');
}

export const cases: readonly AnyCase[] = [
  multiple,
  invalidSizes,
  poolTooSmall,
  stateOfPool,
  allocates,
  interrupted,
  withoutMemory,
  invalidPunch,
  maps,
  faults,
  refuses,
];
