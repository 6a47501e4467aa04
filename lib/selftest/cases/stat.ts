/** A guest_memfd as a file: what fstat(2) says, and that it can neither be read, written nor resized. */

import { type ErrnoName, PAGE_SIZE, S_IFMT, S_IFREG } from '../../abi/index.ts';
import type { Stat } from '../../syscalls/seam.ts';
import { answered } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { PATTERN, PatternFile } from '../pattern.ts';

const fileSize = defineCase<{ readonly mmap: boolean }>({
  name: 'file_size',
  about:
    'fstat says the size it was created with, blocks of 4 KiB, and a regular file of its own ' +
    '(guest_memfd_test, test_file_size; __kvm_gmem_create()).',
  requires: ({ mmap }) => (mmap ? { flags: ['mmap'] } : {}),
  variants: { mapped: { mmap: true }, unmapped: { mmap: false } },
  async run(t, { mmap }) {
    const gmem = await t.gmem(await t.vm(), { size: 4 * PAGE_SIZE, mmap });
    const stat = await gmem.stat();
    t.equal(stat.size, BigInt(4 * PAGE_SIZE), 'st_size');
    t.equal(stat.blksize, PAGE_SIZE, 'st_blksize');
    t.equal(stat.mode & S_IFMT, S_IFREG, 'the kind of file');
    t.equal(stat.mode & 0o777, 0o600, 'its permissions');
    t.equal(stat.nlink, 1, 'st_nlink');
    t.equal(await gmem.stat(), stat, 'fstat again');
  },
});

interface Io {
  readonly call: 'read' | 'write' | 'pread' | 'pwrite';
  readonly offset?: bigint;
  readonly length?: number;
  readonly code: ErrnoName;
}

const END = BigInt(4 * PAGE_SIZE);

const readWrite = defineCase<Io>({
  name: 'file_read_write',
  about:
    'There is no read and no write: EINVAL (vfs_read()), at a position ESPIPE (no FMODE_PREAD), after EINVAL for a ' +
    'negative one (guest_memfd_test, test_file_read_write; ksys_pread64()).',
  requires: PATTERN,
  variants: {
    read: { call: 'read', code: 'EINVAL' },
    'read-nothing': { call: 'read', length: 0, code: 'EINVAL' },
    write: { call: 'write', code: 'EINVAL' },
    'write-nothing': { call: 'write', length: 0, code: 'EINVAL' },
    pread: { call: 'pread', offset: 0n, code: 'ESPIPE' },
    'pread-past-the-end': { call: 'pread', offset: END, code: 'ESPIPE' },
    'pread-negative': { call: 'pread', offset: -1n, code: 'EINVAL' },
    pwrite: { call: 'pwrite', offset: 0n, code: 'ESPIPE' },
    'pwrite-past-the-end': { call: 'pwrite', offset: END, code: 'ESPIPE' },
    'pwrite-negative': { call: 'pwrite', offset: -1n, code: 'EINVAL' },
  },
  async run(t, { call, offset, length = 16, code }) {
    const file = await PatternFile.create(t);
    const buffer = new Uint8Array(length).fill(0xee);
    const { syscalls } = t.host.raw;
    const ret =
      call === 'read' || call === 'write'
        ? await syscalls[call](file.gmem.fd, buffer)
        : await syscalls[call](file.gmem.fd, buffer, offset!);
    t.fails(answered(ret), code, `${call} of ${length} bytes at ${offset ?? 'the current position'}`);
    t.equal(buffer, new Uint8Array(length).fill(0xee), 'the buffer');
    await file.isIntact('afterwards');
  },
});

const truncate = defineCase<bigint>({
  name: 'file_truncate',
  about: 'The size is immutable: every ftruncate is EINVAL, to the size it has too (kvm_gmem_setattr()).',
  requires: PATTERN,
  variants: {
    'to-nothing': 0n,
    'to-a-page-less': END - BigInt(PAGE_SIZE),
    'to-the-same': END,
    'to-a-page-more': END + BigInt(PAGE_SIZE),
    'to-no-whole-page': 100n,
    'to-the-most': (1n << 63n) - 1n,
    'to-a-negative-size': -1n,
  },
  async run(t, length) {
    const file = await PatternFile.create(t);
    const ret = await t.host.raw.syscalls.ftruncate(file.gmem.fd, length);
    t.fails(answered(ret), 'EINVAL', `ftruncate to ${length} bytes`);
    await file.isIntact('afterwards');
  },
});

const BLOCKS_OF_A_PAGE = BigInt(PAGE_SIZE / 512);

async function blocks(t: T, file: PatternFile, want: bigint, what: string): Promise<void> {
  const { blocks: got } = (await file.gmem.stat()) satisfies Stat;
  t.equal(got, want, `st_blocks ${what}`);
}

/**
 * Released kernels never count a guest_memfd's pages. The RFC, on the 6.15 it is based on, adds up what is allocated
 * and does not take back what a hole frees.
 */
const blockCount = defineCase<bigint>({
  name: 'file_blocks',
  about:
    'st_blocks stays 0 in released kernels; in RFC v2 it grows with every page that is allocated and stays when a ' +
    'hole is punched (guest_memfd_test, RFC v2 patch 51, which leaves that out for 4 KiB pages).',
  requires: (unit) =>
    unit === 0n
      ? { ...PATTERN, dialect: ['attributes2', 'vm-attributes', 'none'] }
      : { ...PATTERN, dialect: ['rfc-convert'], kernel: { before: '7.0' } },
  variants: { 'not-counted': 0n, counted: BLOCKS_OF_A_PAGE },
  async run(t, unit) {
    const file = await PatternFile.create(t, { written: false });
    await blocks(t, file, 0n, 'of an untouched file');
    await file.gmem.allocate({ offset: 0, size: 2 * PAGE_SIZE });
    await blocks(t, file, 2n * unit, 'after allocating two pages');
    await file.gmem.allocate({ offset: 0, size: 2 * PAGE_SIZE });
    await blocks(t, file, 2n * unit, 'after allocating them again');
    await file.write(2, 0x77);
    await blocks(t, file, 3n * unit, 'after writing to a third');
    await file.gmem.punchHole({ offset: 0, size: PAGE_SIZE });
    await blocks(t, file, 3n * unit, 'after punching the first');
    await file.gmem.allocate({ offset: 0, size: PAGE_SIZE });
    await blocks(t, file, 4n * unit, 'after allocating it once more');
  },
});

export const cases: readonly AnyCase[] = [fileSize, readWrite, truncate, blockCount];
