/** mmap(2) of a guest_memfd: which mappings can be made. What can be done with them is in `host-access.ts`. */

import {
  type ErrnoName,
  errno,
  MAP_PRIVATE,
  MAP_SHARED_VALIDATE,
  PAGE_SIZE,
  PROT_EXEC,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
} from '../../abi/index.ts';
import { type MmapArgs, mmap, NO_FD } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { PATTERN, PatternFile } from '../pattern.ts';

interface Row extends Partial<MmapArgs> {
  /** Default: a guest_memfd that can be mapped. */
  readonly on?: 'mapped' | 'unmapped' | 'closed' | 'vm';
  readonly code: ErrnoName;
}

const RX = PROT_READ | PROT_EXEC;
/** The largest offset that a page of a file can have: s_maxbytes is 2^63 - 1. */
const LAST_OFFSET = (1n << 63n) - 2n * BigInt(PAGE_SIZE);
const TOO_FAR = LAST_OFFSET + BigInt(PAGE_SIZE);

const refused = defineCase<Row>({
  name: 'mmap_denied',
  about:
    'In this order: a misaligned offset, a bad fd, no length (EINVAL, EBADF, EINVAL), no room for it (ENOMEM), past ' +
    '2^63 (EOVERFLOW), neither shared nor private (EINVAL), PROT_EXEC (EPERM, a noexec mount), a file without the ' +
    'flag (ENODEV), a private mapping (EINVAL): ksys_mmap_pgoff(), do_mmap(), kvm_gmem_mmap().',
  requires: PATTERN,
  variants: {
    'without-the-flag': { on: 'unmapped', code: 'ENODEV' },
    'without-the-flag-privately': { on: 'unmapped', flags: MAP_PRIVATE, code: 'ENODEV' },
    'without-the-flag-past-the-end': { on: 'unmapped', offset: 4 * PAGE_SIZE, code: 'ENODEV' },
    'without-the-flag-executable': { on: 'unmapped', prot: RX, code: 'EPERM' },
    executable: { prot: RX, code: 'EPERM' },
    'executable-only': { prot: PROT_EXEC, code: 'EPERM' },
    'executable-and-writable': { prot: RX | PROT_WRITE, code: 'EPERM' },
    'executable-privately': { prot: RX, flags: MAP_PRIVATE, code: 'EPERM' },
    'executable-past-the-end': { prot: RX, offset: 4 * PAGE_SIZE, code: 'EPERM' },
    private: { flags: MAP_PRIVATE, code: 'EINVAL' },
    'private-read-only': { flags: MAP_PRIVATE, prot: PROT_READ, code: 'EINVAL' },
    'of-no-type': { flags: 0, code: 'EINVAL' },
    'of-no-type-executable': { flags: 0, prot: RX, code: 'EINVAL' },
    'of-no-type-without-the-flag': { on: 'unmapped', flags: 0, code: 'EINVAL' },
    'too-far': { offset: TOO_FAR, code: 'EOVERFLOW' },
    'too-far-executable': { offset: TOO_FAR, prot: RX, code: 'EOVERFLOW' },
    'too-far-without-the-flag': { on: 'unmapped', offset: TOO_FAR, code: 'EOVERFLOW' },
    'too-far-in-its-second-page': { offset: LAST_OFFSET, length: 2 * PAGE_SIZE, code: 'EOVERFLOW' },
    'at-a-negative-offset': { offset: -PAGE_SIZE, code: 'EOVERFLOW' },
    'too-long': { length: 2 ** 52, code: 'ENOMEM' },
    'too-long-executable': { length: 2 ** 52, prot: RX, code: 'ENOMEM' },
    'of-nothing': { length: 0, code: 'EINVAL' },
    'of-nothing-executable': { length: 0, prot: RX, code: 'EINVAL' },
    'at-a-misaligned-offset': { offset: 1, code: 'EINVAL' },
    'at-a-misaligned-offset-executable': { offset: PAGE_SIZE - 1, prot: RX, code: 'EINVAL' },
    'at-a-misaligned-offset-without-the-flag': { on: 'unmapped', offset: 512, code: 'EINVAL' },
    'at-a-misaligned-offset-of-no-file': { on: 'closed', offset: 512, code: 'EINVAL' },
    'of-no-file': { on: 'closed', code: 'EBADF' },
    'of-no-file-without-a-length': { on: 'closed', length: 0, code: 'EBADF' },
    'of-a-vm': { on: 'vm', code: 'ENODEV' },
  },
  async run(t, { on = 'mapped', code, ...args }) {
    const file = await PatternFile.create(t);
    const unmapped = await t.gmem(file.vm, { size: file.size });
    const fds = { mapped: file.gmem, unmapped, vm: file.vm, closed: NO_FD };
    t.fails(await mmap(t, fds[on], { length: PAGE_SIZE, ...args }), code, 'the mapping');
    await file.isIntact('afterwards');
  },
});

interface Good extends Partial<MmapArgs> {
  /** The pages of the file that it begins with; fewer than its own where it goes on past the end. */
  readonly shows: readonly number[];
}

const made = defineCase<Good>({
  name: 'mmap_supported',
  about:
    'A shared mapping shows the part of the file it is of; it may begin or end past the end, or anywhere up to 2^63 ' +
    '(guest_memfd_test, test_mmap_supported; kvm_gmem_mmap()).',
  requires: PATTERN,
  variants: {
    whole: { length: 4 * PAGE_SIZE, shows: [0, 1, 2, 3] },
    'read-only': { length: 4 * PAGE_SIZE, prot: PROT_READ, shows: [0, 1, 2, 3] },
    'first-page': { length: PAGE_SIZE, shows: [0] },
    'last-page': { length: PAGE_SIZE, offset: 3 * PAGE_SIZE, shows: [3] },
    'two-pages-in-the-middle': { length: 2 * PAGE_SIZE, offset: PAGE_SIZE, shows: [1, 2] },
    'a-page-and-a-byte': { length: PAGE_SIZE + 1, offset: PAGE_SIZE, shows: [1, 2] },
    'one-byte': { length: 1, offset: 2 * PAGE_SIZE, shows: [2] },
    'past-the-end-in-part': { length: 2 * PAGE_SIZE, offset: 3 * PAGE_SIZE, shows: [3] },
    'past-the-end': { length: PAGE_SIZE, offset: 4 * PAGE_SIZE, shows: [] },
    'far-past-the-end': { length: PAGE_SIZE, offset: LAST_OFFSET, shows: [] },
    validated: { length: 2 * PAGE_SIZE, flags: MAP_SHARED_VALIDATE, shows: [0, 1] },
  },
  async run(t, { shows, ...args }) {
    const file = await PatternFile.create(t);
    const { length = PAGE_SIZE } = args;
    const address = t.succeeds(await mmap(t, file.gmem, { length, ...args }), 'the mapping');
    const { syscalls } = t.host.raw;
    for (let at = 0; at < length; at += PAGE_SIZE) {
      const bytes = new Uint8Array(PAGE_SIZE);
      const page = shows[at / PAGE_SIZE];
      const copied = await syscalls.copyOut(address + BigInt(at), bytes);
      t.equal(
        copied,
        page === undefined ? -errno.EFAULT : PAGE_SIZE,
        `bytes read from page ${at / PAGE_SIZE} of the mapping`,
      );
      if (page !== undefined) t.equal(bytes, file.page(page), `page ${at / PAGE_SIZE} of the mapping`);
    }
  },
});

const again = defineCase({
  name: 'mmap-again',
  about: 'Any number of mappings of the same pages show the same memory, and each goes without the others (VFS).',
  requires: PATTERN,
  async run(t) {
    const file = await PatternFile.create(t);
    const whole = await file.gmem.map();
    t.defer(() => whole.close());
    const part = await file.gmem.map({ offset: PAGE_SIZE, size: PAGE_SIZE });
    await part.write(5, Uint8Array.of(0xab));
    t.equal(await whole.read(PAGE_SIZE + 5, 1), Uint8Array.of(0xab), 'one mapping reads what another wrote');
    await part.close();
    t.equal(await whole.read(PAGE_SIZE + 5, 1), Uint8Array.of(0xab), 'after the other was unmapped');
    const later = await file.gmem.map({ offset: PAGE_SIZE, size: PAGE_SIZE });
    t.defer(() => later.close());
    t.equal(await later.read(5, 1), Uint8Array.of(0xab), 'a later mapping reads it too');
  },
});

const inaccessible = defineCase<number>({
  name: 'mmap-protection',
  about: 'A mapping takes what its protection allows and nothing else; the file is not changed (access_error()).',
  requires: PATTERN,
  variants: { none: PROT_NONE, 'read-only': PROT_READ, 'read-write': PROT_READ | PROT_WRITE },
  async run(t, prot) {
    const file = await PatternFile.create(t);
    const mapping = await file.gmem.map({ prot });
    t.defer(() => mapping.close());
    const read = await mapping.tryRead(0, file.size);
    if (prot & PROT_READ) t.equal(t.succeeds(read, 'reading'), file.contents, 'what was read');
    else t.fails(read, 'EFAULT', 'reading');
    const written = await mapping.tryFill(PAGE_SIZE, PAGE_SIZE, 0xcc);
    if (prot & PROT_WRITE) {
      t.succeeds(written, 'writing');
      file.becomes(0xcc, 1);
    } else t.fails(written, 'EFAULT', 'writing');
    await file.isIntact('afterwards');
  },
});

export const cases: readonly AnyCase[] = [made, refused, again, inaccessible];
