/** What the host finds through its mappings: zeroes at first, its own bytes later, and SIGBUS (here EFAULT) elsewhere. */

import {
  errno,
  MADV_DONTNEED,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
  MAP_POPULATE,
  MAP_SHARED,
  PAGE_SIZE,
} from '../../abi/index.ts';
import type { VmType } from '../../kvm/index.ts';
import { answered, MemoryUse, mmap } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { PATTERN, PatternFile } from '../pattern.ts';

const EFAULT = -errno.EFAULT;

const faulting = defineCase({
  name: 'faulting_allowed',
  about:
    'Shared memory reads 0 at first and then what was written; a hole reads 0 again and the rest stays ' +
    '(guest_memfd_test, test_mmap_supported; RFC v2 patch 09; kvm_gmem_fault_user_mapping()).',
  requires: PATTERN,
  async run(t) {
    const file = await PatternFile.create(t, { written: false });
    await file.isIntact('before anything was written');
    const expected = new Uint8Array(file.size);
    for (let at = 0; at < file.size; at += PAGE_SIZE / 2) {
      await file.mapping.write(at, Uint8Array.of(0xaa));
      expected[at] = 0xaa;
    }
    t.equal(await file.mapping.read(0, file.size), expected, 'the file after a byte in each half page');
    await file.gmem.punchHole({ offset: 0, size: PAGE_SIZE });
    expected.fill(0, 0, PAGE_SIZE);
    t.equal(await file.mapping.read(0, file.size), expected, 'the file after its first page was punched');
    await file.mapping.fill(0, file.size, 0xaa);
    t.equal(await file.mapping.read(0, file.size), expected.fill(0xaa), 'the file after all of it was written');
  },
});

const sigbus = defineCase<VmType | 'private'>({
  name: 'faulting_sigbus',
  about:
    'Memory that starts private can be mapped and not touched: SIGBUS for reads and writes, EFAULT for a populating ' +
    'madvise, and MAP_POPULATE says nothing (guest_memfd_test; RFC v2 patch 09).',
  requires: (vmType) => ({ vmType, flags: ['init-private'] }),
  variants: { default: 'default', private: 'private' },
  async run(t) {
    const gmem = await t.gmem(await t.vm(), { size: 4 * PAGE_SIZE, mmap: true, initially: 'private' });
    const mapping = await gmem.map();
    t.defer(() => mapping.close());
    const memory = new MemoryUse(t);
    for (const offset of [0, PAGE_SIZE - 1, 3 * PAGE_SIZE]) {
      t.fails(await mapping.tryRead(offset, 1), 'EFAULT', `reading at ${offset}`);
      t.fails(await mapping.tryWrite(offset, Uint8Array.of(1)), 'EFAULT', `writing at ${offset}`);
    }
    const { syscalls } = t.host.raw;
    for (const advice of [MADV_POPULATE_READ, MADV_POPULATE_WRITE]) {
      const answer = answered(await syscalls.madvise(mapping.address, PAGE_SIZE, advice));
      t.fails(answer, 'EFAULT', `madvise(${advice}) on a private page`);
    }
    const populated = await mmap(t, gmem, { length: PAGE_SIZE, flags: MAP_SHARED | MAP_POPULATE });
    const address = t.succeeds(populated, 'mmap with MAP_POPULATE');
    t.equal(await syscalls.copyOut(address, new Uint8Array(1)), EFAULT, 'reading from it');
    memory.grewBy(0, 'after all this');
  },
});

/** How many bytes of a copy lie in the file, and how many past its end. */
const SPANS: readonly (readonly [before: number, after: number])[] = [
  [0, 1],
  [0, 2 * PAGE_SIZE],
  [1, 1],
  [10, PAGE_SIZE],
  [PAGE_SIZE, PAGE_SIZE],
  [2 * PAGE_SIZE, 1],
];

const pastTheEnd = defineCase({
  name: 'fault_overflow',
  about:
    'Past the end of the file there is nothing to touch: SIGBUS, and a copy stops after exactly the bytes before it ' +
    '(guest_memfd_test, test_fault_overflow; kvm_gmem_fault_user_mapping()).',
  requires: PATTERN,
  async run(t) {
    const file = await PatternFile.create(t);
    const mapped = await mmap(t, file.gmem, { length: file.size + 2 * PAGE_SIZE });
    const end = t.succeeds(mapped, 'mapping past the end') + BigInt(file.size);
    const { syscalls } = t.host.raw;
    for (const [before, after] of SPANS) {
      const what = `a copy with ${before} bytes before the end and ${after} after it`;
      const start = end - BigInt(before);
      const found = new Uint8Array(before + after).fill(0xee);
      t.equal(await syscalls.copyOut(start, found), before || EFAULT, `bytes read by ${what}`);
      const expected = new Uint8Array(before + after).fill(0xee);
      expected.set(file.contents.subarray(file.size - before));
      t.equal(found, expected, `what was read by ${what}`);
      const written = new Uint8Array(before + after).fill(0x99);
      t.equal(await syscalls.copyIn(start, written), before || EFAULT, `bytes written by ${what}`);
      const kept = await file.mapping.read(0, file.size);
      t.equal(kept.subarray(0, file.size - before), file.contents.subarray(0, file.size - before), 'what lies before');
      t.equal(kept.subarray(file.size - before), written.subarray(0, before), `what was written by ${what}`);
      await file.mapping.write(0, file.contents);
    }
  },
});

const outlivesMapping = defineCase({
  name: 'contents-outlive-the-mapping',
  about: 'The bytes are the file’s: unmapping, or dropping page-table entries (MADV_DONTNEED), loses nothing.',
  requires: PATTERN,
  async run(t) {
    const file = await PatternFile.create(t);
    const second = await file.gmem.map();
    await second.fill(2 * PAGE_SIZE, PAGE_SIZE, 0x5a);
    file.becomes(0x5a, 2);
    const dropped = await t.host.raw.syscalls.madvise(second.address, file.size, MADV_DONTNEED);
    t.succeeds(answered(dropped), 'madvise(MADV_DONTNEED)');
    t.equal(await second.read(0, file.size), file.contents, 'the file after MADV_DONTNEED');
    await second.close();
    await file.isIntact('after the mapping was closed');
    const third = await file.gmem.map();
    t.defer(() => third.close());
    t.equal(await third.read(0, file.size), file.contents, 'the file through a new mapping');
  },
});

const populate = defineCase<number>({
  name: 'populate',
  about: 'Shared pages can be faulted in ahead (MADV_POPULATE_READ and _WRITE), and read 0 as at any first touch.',
  requires: PATTERN,
  variants: { read: MADV_POPULATE_READ, write: MADV_POPULATE_WRITE },
  async run(t, advice) {
    const file = await PatternFile.create(t, { written: false });
    const answer = await t.host.raw.syscalls.madvise(file.mapping.address, file.size, advice);
    t.succeeds(answered(answer), 'madvise of the whole file');
    await file.isIntact('afterwards');
  },
});

const zeroedOnce = defineCase({
  name: 'zeroed-at-the-first-touch-only',
  about:
    'A page is cleared when somebody first touches it, not when it is allocated and never again ' +
    '(kvm_gmem_fault_user_mapping(), folio_test_uptodate()).',
  requires: { ...PATTERN, journal: true },
  async run(t) {
    const file = await PatternFile.create(t, { written: false });
    const steps = (): string[] => t.mock.journal.entries.map(({ step, start }) => `${step} ${start}`);
    await file.gmem.allocate({ offset: 0, size: 2 * PAGE_SIZE });
    t.equal(steps(), ['allocate 0', 'allocate 1'], 'steps of an allocation');
    t.mock.journal.clear();
    await file.write(0, 0x21);
    await file.write(2, 0x22);
    t.equal(steps(), ['zero 0', 'allocate 2', 'zero 2'], 'steps of a first touch');
    t.mock.journal.clear();
    const second = await file.gmem.map();
    t.defer(() => second.close());
    await second.fill(0, PAGE_SIZE, 0x23);
    file.becomes(0x23, 0);
    await file.gmem.allocate({ offset: 0, size: PAGE_SIZE });
    t.equal(steps(), [], 'steps of a second touch, and of allocating what is there');
    await file.isIntact('afterwards');
  },
});

const withoutMemory = defineCase({
  name: 'fault-without-memory',
  about:
    'Where no page can be had for a touch, a copy ends (EFAULT) and a populating madvise says ENOMEM; the next touch ' +
    'finds zeroes as if nothing had been (vmf_error(), faultin_page_range()).',
  requires: { ...PATTERN, faults: true },
  async run(t) {
    const file = await PatternFile.create(t, { written: false });
    const memory = new MemoryUse(t);
    const { address } = file.mapping;
    const { syscalls } = t.host.raw;
    t.mock.faults.failAllocation(1, 'page');
    t.fails(await file.mapping.tryWrite(0, Uint8Array.of(1)), 'EFAULT', 'writing without memory');
    t.mock.faults.failAllocation(2, 'page');
    t.equal(await syscalls.copyOut(address, new Uint8Array(2 * PAGE_SIZE)), PAGE_SIZE, 'bytes read with one page left');
    t.mock.faults.failAllocation(2, 'page');
    const populated = await syscalls.madvise(address, file.size, MADV_POPULATE_WRITE);
    t.fails(answered(populated), 'ENOMEM', 'populating with one page left');
    memory.grewBy(2, 'then');
    await file.isIntact('afterwards');
  },
});

export const cases: readonly AnyCase[] = [
  faulting,
  sigbus,
  pastTheEnd,
  outlivesMapping,
  populate,
  zeroedOnce,
  withoutMemory,
];
