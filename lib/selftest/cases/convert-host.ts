/** What the host may touch: shared pages, byte for byte up to the first private one. */

import {
  errno,
  MADV_DONTNEED,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
  PAGE_SIZE,
  PROT_READ,
} from '../../abi/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { CONVERTS } from '../conversion.ts';
import { HostFile } from '../host-file.ts';

interface Copy {
  readonly from: number;
  readonly length: number;
  /** Bytes before the first private page. */
  readonly copied: number;
}

/** Pages: S P S S P S. */
const straddling = defineCase<Copy>({
  name: 'convert-host-copies-up-to-a-private-page',
  about:
    'A copy that runs into a private page ends there: the bytes before it are copied and no others ' +
    '(kvm_gmem_fault_user_mapping() answers SIGBUS, which a copy sees as a short count).',
  requires: CONVERTS,
  variants: {
    'within-shared': { from: 2 * PAGE_SIZE, length: 2 * PAGE_SIZE, copied: 2 * PAGE_SIZE },
    'one-byte-into-private': { from: 0, length: PAGE_SIZE + 1, copied: PAGE_SIZE },
    'ten-bytes-before-private': { from: PAGE_SIZE - 10, length: 20, copied: 10 },
    'across-private': { from: 100, length: 3 * PAGE_SIZE, copied: PAGE_SIZE - 100 },
    'two-shared-then-private': { from: 2 * PAGE_SIZE + 1, length: 3 * PAGE_SIZE, copied: 2 * PAGE_SIZE - 1 },
    'starts-in-private': { from: PAGE_SIZE, length: 2 * PAGE_SIZE, copied: 0 },
    'last-byte-of-private': { from: 2 * PAGE_SIZE - 1, length: 10, copied: 0 },
  },
  async run(t, { from, length, copied }) {
    const file = await HostFile.create(t, 'SPSSPS');
    const { syscalls } = t.host.raw;
    const address = file.mapping.address + BigInt(from);
    const answer = copied || -errno.EFAULT;
    const bytes = new Uint8Array(length).fill(0xee);
    t.equal(await syscalls.copyOut(address, bytes), answer, 'bytes copied out');
    t.ok(
      bytes.subarray(0, copied).every((byte, i) => byte === 0x10 + Math.floor((from + i) / PAGE_SIZE)),
      'bytes before the private page are those of the file',
    );
    t.equal(await syscalls.copyIn(address, new Uint8Array(length).fill(0xdd)), answer, 'bytes copied in');
    const back = new Uint8Array(length);
    t.equal(await syscalls.copyOut(address, back), answer, 'bytes copied out again');
    t.equal(back.subarray(0, copied), new Uint8Array(copied).fill(0xdd), 'bytes that were copied in');
    file.forget(0, 2, 3, 5);
    await file.is('SPSSPS', 'afterwards');
    t.equal((await file.mapping.read(5 * PAGE_SIZE, 1))[0], 0x15, 'the page behind the last private one');
  },
});

const typedShort = defineCase({
  name: 'convert-host-is-told-where-a-copy-ended',
  about: 'Mapping.read() and write() reject with EFAULT, say how many bytes came before, and name the private page.',
  requires: CONVERTS,
  async run(t) {
    const file = await HostFile.create(t, 'SSPS');
    const read = t.fails(await file.mapping.tryRead(PAGE_SIZE, 3 * PAGE_SIZE), 'EFAULT', 'reading');
    t.equal(read.error.completed, PAGE_SIZE, 'bytes read');
    t.ok(read.error.message.includes('0x2000'), 'the message names the page');
    const bytes = new Uint8Array(2 * PAGE_SIZE).fill(0x44);
    const write = t.fails(await file.mapping.tryWrite(PAGE_SIZE + 10, bytes), 'EFAULT', 'writing');
    t.equal(write.error.completed, PAGE_SIZE - 10, 'bytes written');
    t.equal((await file.mapping.read(2 * PAGE_SIZE - 1, 1))[0], 0x44, 'the last byte before the private page');
    file.forget(1);
    await file.is('SSPS', 'afterwards');
  },
});

const populate = defineCase({
  name: 'convert-host-cannot-populate-private-pages',
  about: 'MADV_POPULATE_READ and _WRITE answer EFAULT on a private page, and 0 where all are shared (seen on 7.3.4).',
  requires: CONVERTS,
  async run(t) {
    const file = await HostFile.create(t, 'SPS');
    const { syscalls } = t.host.raw;
    const at = (page: number) => file.mapping.address + BigInt(page * PAGE_SIZE);
    for (const advice of [MADV_POPULATE_READ, MADV_POPULATE_WRITE]) {
      t.equal(await syscalls.madvise(at(0), PAGE_SIZE, advice), 0, `shared page, advice ${advice}`);
      t.equal(await syscalls.madvise(at(1), PAGE_SIZE, advice), -errno.EFAULT, `private page, advice ${advice}`);
      t.equal(await syscalls.madvise(at(0), 3 * PAGE_SIZE, advice), -errno.EFAULT, `all pages, advice ${advice}`);
    }
    t.equal(await syscalls.madvise(at(0), 3 * PAGE_SIZE, MADV_DONTNEED), 0, 'MADV_DONTNEED');
    await file.is('SPS', 'afterwards');
  },
});

const lateMapping = defineCase({
  name: 'convert-host-maps-private-memory',
  about:
    'A private range can be mapped; it is the access that fails, until the range is shared (RFC v2 patch 09; v13).',
  requires: { ...CONVERTS, flags: ['mmap', 'init-private'] },
  async run(t) {
    const gmem = await t.gmem(await t.vm(), { size: 2 * PAGE_SIZE, mmap: true, initially: 'private' });
    const writable = await gmem.map();
    t.defer(() => writable.close());
    const readable = await gmem.map({ prot: PROT_READ });
    t.defer(() => readable.close());
    for (const mapping of [writable, readable]) t.fails(await mapping.tryRead(0, 1), 'EFAULT', 'a private page');
    await gmem.convert({ offset: 0, size: PAGE_SIZE, to: 'shared' });
    t.succeeds(await writable.tryWrite(0, Uint8Array.of(9)), 'writing the shared page');
    t.equal(await readable.read(0, 1), Uint8Array.of(9), 'the shared page through the read-only mapping');
    t.fails(await readable.tryWrite(0, Uint8Array.of(1)), 'EFAULT', 'writing through the read-only mapping');
    t.fails(await readable.tryRead(PAGE_SIZE, 1), 'EFAULT', 'the page that is still private');
  },
});

export const cases: readonly AnyCase[] = [straddling, typedShort, populate, lateMapping];
