/** fallocate(FALLOC_FL_PUNCH_HOLE): the pages go, their state stays, and the next touch finds zeroes. */

import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, PAGE_SIZE } from '../../abi/index.ts';
import { fallocate, MemoryUse } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { PATTERN, PatternFile } from '../pattern.ts';

const P = PAGE_SIZE;
const PUNCH = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE;

const invalid = defineCase<readonly [offset: number, length: number]>({
  name: 'invalid_punch_hole',
  about: 'A hole that is not whole pages is EINVAL, and no page is harmed (guest_memfd_test, test_invalid_punch_hole).',
  requires: PATTERN,
  variants: {
    '0-1': [0, 1],
    '0-below': [0, P - 1],
    '0-above': [0, P + 1],
    '1-1': [1, 1],
    '1-below': [1, P - 1],
    '1-page': [1, P],
    '1-above': [1, P + 1],
    'page-1': [P, 1],
    'page-below': [P, P - 1],
    'page-above': [P, P + 1],
    'half-half': [P / 2, P / 2],
    'past-the-end': [4 * P + 1, P],
  },
  async run(t, [offset, length]) {
    const file = await PatternFile.create(t);
    t.fails(await fallocate(t, file.gmem, PUNCH, offset, length), 'EINVAL', `a hole of ${length} bytes at ${offset}`);
    await file.isIntact('afterwards');
  },
});

interface Hole {
  readonly offset: number | bigint;
  readonly length: number | bigint;
  /** The pages of the file that go. */
  readonly pages: readonly number[];
}

const punches = defineCase<Hole>({
  name: 'punch-hole',
  about:
    'Exactly the pages of the hole read 0, through mappings that had them too; past the end there is nothing to lose ' +
    '(kvm_gmem_punch_hole(), truncate_inode_pages_range()).',
  requires: PATTERN,
  variants: {
    'first-page': { offset: 0, length: P, pages: [0] },
    'last-page': { offset: 3 * P, length: P, pages: [3] },
    'two-pages-in-the-middle': { offset: P, length: 2 * P, pages: [1, 2] },
    everything: { offset: 0, length: 4 * P, pages: [0, 1, 2, 3] },
    'everything-and-more': { offset: 0, length: 1 << 30, pages: [0, 1, 2, 3] },
    'last-page-and-more': { offset: 3 * P, length: 2 * P, pages: [3] },
    'past-the-end': { offset: 4 * P, length: P, pages: [] },
    'far-past-the-end': { offset: 100 * P, length: P, pages: [] },
    'up-to-2-63': { offset: 2 * P, length: (1n << 63n) - BigInt(3 * P), pages: [2, 3] },
  },
  async run(t, { offset, length, pages }) {
    const file = await PatternFile.create(t);
    const other = await file.gmem.map();
    t.defer(() => other.close());
    t.equal(await other.read(0, file.size), file.contents, 'the second mapping before');
    const memory = new MemoryUse(t);
    t.equal(t.succeeds(await fallocate(t, file.gmem, PUNCH, offset, length), 'the hole'), 0, 'the answer');
    memory.grewBy(-pages.length, 'after the hole');
    file.becomes(0, ...pages);
    await file.isIntact('afterwards');
    t.equal(await other.read(0, file.size), file.contents, 'the second mapping afterwards');
    for (const page of pages) await file.write(page, 0x70 + page);
    await file.isIntact('after writing into the hole');
  },
});

const twice = defineCase({
  name: 'punch-hole-twice',
  about: 'Punching what is not there, or not there any more, succeeds and changes nothing (kvm_gmem_punch_hole()).',
  requires: PATTERN,
  async run(t) {
    const file = await PatternFile.create(t, { written: false });
    t.succeeds(await file.gmem.tryPunchHole({ offset: 0, size: file.size }), 'punching an untouched file');
    await file.write(0, 0x61);
    await file.write(3, 0x62);
    for (const what of ['punching the untouched pages', 'punching them again']) {
      t.succeeds(await file.gmem.tryPunchHole({ offset: P, size: 2 * P }), what);
      await file.isIntact(`after ${what}`);
    }
    t.succeeds(await file.gmem.tryPunchHole({ offset: 0, size: P }), 'punching the first page');
    file.becomes(0, 0);
    t.succeeds(await file.gmem.tryAllocate({ offset: 0, size: 2 * P }), 'allocating the hole');
    await file.isIntact('after allocating the hole');
  },
});

const privateHole = defineCase({
  name: 'punch-hole-private',
  about:
    'A hole in private memory, or in memory that cannot be mapped, is punched like any other, and stays out of the ' +
    'host’s reach (RFC v2 patch 12, test_truncate_should_not_change_mappability).',
  requires: { flags: ['init-private'] },
  async run(t) {
    const gmem = await t.gmem(await t.vm(), { size: 4 * P, mmap: true, initially: 'private' });
    const mapping = await gmem.map();
    t.defer(() => mapping.close());
    t.succeeds(await gmem.tryAllocate({ offset: 0, size: 4 * P }), 'allocating');
    t.succeeds(await gmem.tryPunchHole({ offset: P, size: P }), 'punching a private page');
    for (const page of [0, 1, 2]) {
      t.fails(await mapping.tryRead(page * P, 1), 'EFAULT', `reading page ${page}`);
      t.fails(await mapping.tryWrite(page * P, Uint8Array.of(1)), 'EFAULT', `writing page ${page}`);
    }
  },
});

const pinned = defineCase({
  name: 'punch-hole-pinned',
  about:
    'Nobody asks for references: a pinned page leaves the file and stays with its pinner until that lets go, and the ' +
    'file gets a new one (RFC v2 patch 44, 4 KiB; truncate_inode_pages_range()).',
  requires: { ...PATTERN, pins: true },
  async run(t) {
    const file = await PatternFile.create(t);
    const memory = new MemoryUse(t);
    const pin = t.pin(file.gmem, P, P);
    const pinnedBytes = file.page(1);
    t.succeeds(await file.gmem.tryPunchHole({ offset: 0, size: 2 * P }), 'punching a page that is pinned');
    memory.grewBy(-1, 'while the second is pinned');
    file.becomes(0, 0, 1);
    await file.isIntact('afterwards');
    await file.write(1, 0x3c);
    t.equal(pin.read(), pinnedBytes, 'what the pinner has');
    memory.grewBy(1, 'with two new pages and the pinned one');
    pin.release();
    memory.grewBy(0, 'after unpinning');
    await file.isIntact('after unpinning');
  },
});

const secondProcess = defineCase({
  name: 'punch-hole-second-process',
  about: 'Every process loses the pages from its page tables, and finds the same zeroes (unmap_mapping_range()).',
  requires: { ...PATTERN, fork: true },
  async run(t) {
    const file = await PatternFile.create(t);
    const child = t.fork();
    const { address } = file.mapping;
    const bytes = new Uint8Array(file.size);
    t.equal(child.read(address, bytes), file.size, 'bytes the child reads before');
    t.equal(bytes, file.contents, 'what the child reads before');
    t.succeeds(await file.gmem.tryPunchHole({ offset: P, size: 2 * P }), 'punching in the parent');
    file.becomes(0, 1, 2);
    t.equal(child.read(address, bytes), file.size, 'bytes the child reads afterwards');
    t.equal(bytes, file.contents, 'what the child reads afterwards');
    t.equal(child.write(address + BigInt(2 * P), file.page(0)), P, 'bytes the child writes into the hole');
    file.becomes(file.byte(0), 2);
    await file.isIntact('in the parent, after the child wrote');
  },
});

const order = defineCase({
  name: 'punch-hole-order',
  about:
    'Guest mappings go before the pages do, between begin and end of an invalidation, exactly for the range ' +
    '(kvm_gmem_punch_hole(); RFC v2 patch 38).',
  requires: { ...PATTERN, steps: true },
  async run(t) {
    const file = await PatternFile.create(t);
    await file.vm.setMemoryRegion({ slot: 0, guestPhysAddr: 0, size: file.size, gmem: file.gmem });
    t.steps.clear();
    await file.gmem.punchHole({ offset: P, size: 2 * P });
    const steps = t.steps.entries.map(({ step, start, end, reason = '' }) => [step, start, end, reason]);
    const guestPages = steps.filter(([step]) => step === 'unmap-stage2').map((entry) => entry.slice(0, 3));
    t.equal(guestPages, [['unmap-stage2', 1, 3]], 'guest pages unmapped');
    t.equal(
      steps.filter(([step]) => step !== 'unmap-stage2'),
      [
        ['invalidate-begin', 1, 3, 'truncate'],
        ['unmap-host', 1, 3, 'truncate'],
        ['truncate', 1, 3, 'truncate'],
        ['invalidate-end', 1, 3, 'truncate'],
      ],
      'the other steps',
    );
    t.equal(steps[1]?.[0], 'unmap-stage2', 'the step after the beginning');
  },
});

export const cases: readonly AnyCase[] = [punches, invalid, twice, privateHole, pinned, secondProcess, order];
