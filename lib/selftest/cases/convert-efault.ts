/** Conversion structs that the kernel cannot read, or cannot write back. */

import { type ErrnoName, PAGE_SIZE, PROT_NONE, PROT_READ, PROT_WRITE } from '../../abi/index.ts';
import { memfd, mmap } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { byDialect, CONVERTS, RawConversion, STATES } from '../conversion.ts';
import { HostFile } from '../host-file.ts';

/** The address of these bytes in memory with this protection; `pages` beyond the first lie past the memfd's end. */
async function structInMemory(t: T, bytes: Uint8Array, prot: number, at = 0, pages = 1): Promise<bigint> {
  const contents = new Uint8Array(PAGE_SIZE);
  contents.set(bytes.subarray(0, PAGE_SIZE - at), at);
  const fd = await memfd(t, PAGE_SIZE, contents);
  const address = t.succeeds(await mmap(t, fd, { length: pages * PAGE_SIZE, prot }), 'mapping memory for the struct');
  return address + BigInt(at);
}

const nullPointer = defineCase({
  name: 'convert-null-pointer',
  about:
    'A struct at address 0 is EFAULT before anything in it is looked at, and ENOTTY comes first where the request is ' +
    'unknown (copy_from_user() in kvm_gmem_ioctl()).',
  requires: CONVERTS,
  async run(t) {
    const file = await HostFile.create(t, 'SP');
    for (const to of STATES) {
      const { request } = new RawConversion(t, { offset: 0, size: PAGE_SIZE, to });
      t.fails(await t.host.raw.tryIoctl(file.gmem, request, 0), 'EFAULT', `converting to ${to} by a null pointer`);
      t.fails(await t.host.raw.tryIoctl(file.gmem, request + 8, 0), 'ENOTTY', 'an unknown request, null pointer');
    }
    await file.is('SP', 'afterwards');
  },
});

const unreadable = defineCase<{ readonly prot: number; readonly at: number; readonly pages: number }>({
  name: 'convert-unreadable-struct',
  about: 'A struct of which the kernel cannot read every byte is EFAULT and converts nothing (copy_from_user()).',
  requires: CONVERTS,
  variants: {
    'no-access': { prot: PROT_NONE, at: 0, pages: 1 },
    'tail-missing': { prot: PROT_READ | PROT_WRITE, at: PAGE_SIZE - 56, pages: 2 },
    'all-but-the-first-word-missing': { prot: PROT_READ | PROT_WRITE, at: PAGE_SIZE - 8, pages: 2 },
  },
  async run(t, { prot, at, pages }) {
    const file = await HostFile.create(t, 'SP');
    for (const to of STATES) {
      const { request, bytes } = new RawConversion(t, { offset: 0, size: file.size, to });
      const address = await structInMemory(t, bytes, prot, at, pages);
      t.fails(await t.host.raw.tryIoctl(file.gmem, request, { address }), 'EFAULT', `converting to ${to}`);
      await file.is('SP', 'afterwards');
    }
  },
});

interface ReadOnly {
  readonly offset?: number;
  readonly size?: number;
  readonly error_offset?: bigint;
  /** 'done' is a conversion that takes place. */
  readonly answer: Readonly<Record<'rfc-convert' | 'attributes2', ErrnoName | 'done'>>;
}

const readOnly = defineCase<ReadOnly>({
  name: 'convert-read-only-struct',
  about:
    'The struct is written back on errors alone, which then become EFAULT if it is read-only: in RFC v2 on every error ' +
    '(patch 04), with attributes2 on EAGAIN and ENOMEM only (v13, kvm_gmem_set_attributes()).',
  requires: CONVERTS,
  variants: {
    success: { answer: { 'rfc-convert': 'done', attributes2: 'done' } },
    'error-offset-set': { error_offset: 4096n, answer: { 'rfc-convert': 'EFAULT', attributes2: 'done' } },
    'size-0': { size: 0, answer: { 'rfc-convert': 'done', attributes2: 'EINVAL' } },
    misaligned: { offset: 1, answer: { 'rfc-convert': 'EFAULT', attributes2: 'EINVAL' } },
    'past-end-of-file': { offset: 8 * PAGE_SIZE, answer: { 'rfc-convert': 'EFAULT', attributes2: 'EINVAL' } },
  },
  async run(t, { offset = 0, size = PAGE_SIZE, error_offset = 0n, answer }) {
    const file = await HostFile.create(t, 'SS');
    const { request, bytes } = new RawConversion(t, { offset, size, to: 'private' }, { error_offset });
    const address = await structInMemory(t, bytes, PROT_READ);
    const wanted = byDialect(t, answer);
    const attempt = await t.host.raw.tryIoctl(file.gmem, request, { address });
    if (wanted === 'done') t.succeeds(attempt, 'converting with a read-only struct');
    else t.fails(attempt, wanted, 'converting with a read-only struct');
    await file.is(wanted === 'done' && size > 0 ? 'PS' : 'SS', 'afterwards');
  },
});

const readOnlyReferenced = defineCase({
  name: 'convert-read-only-struct-of-a-referenced-page',
  about:
    'EAGAIN that cannot be written back becomes EFAULT: nothing is converted (RFC v2 patch 04; v13, ' +
    'kvm_gmem_set_attributes()).',
  requires: { ...CONVERTS, pins: true },
  async run(t) {
    const file = await HostFile.create(t, 'SSS');
    const pin = t.pin(file.gmem, PAGE_SIZE, PAGE_SIZE);
    const { request, bytes } = new RawConversion(t, { offset: 0, size: file.size, to: 'private' });
    const address = await structInMemory(t, bytes, PROT_READ);
    t.fails(await t.host.raw.tryIoctl(file.gmem, request, { address }), 'EFAULT', 'with page 1 pinned');
    await file.is('SSS', 'after EFAULT');
    pin.release();
    t.succeeds(await t.host.raw.tryIoctl(file.gmem, request, { address }), 'with the pin released');
    await file.is('PPP', 'after success');
  },
});

const readOnlyNoMemory = defineCase({
  name: 'convert-read-only-struct-without-memory',
  about: 'ENOMEM that cannot be written back becomes EFAULT: nothing is converted (RFC v2 patch 04; v13).',
  requires: { ...CONVERTS, faults: true },
  async run(t) {
    const file = await HostFile.create(t, 'SPS');
    for (const to of STATES) {
      const { request, bytes } = new RawConversion(t, { offset: 0, size: file.size, to });
      const address = await structInMemory(t, bytes, PROT_READ);
      t.mock.faults.failAllocation(1);
      t.fails(await t.host.raw.tryIoctl(file.gmem, request, { address }), 'EFAULT', `converting to ${to}`);
      await file.is('SPS', 'afterwards');
    }
  },
});

const inItself = defineCase({
  name: 'convert-struct-in-the-memory-converted',
  about:
    'The struct may lie in the very page that is converted: it is read before, and not written on success ' +
    '(copy_from_user() in kvm_gmem_ioctl()); once the page is private it is EFAULT.',
  requires: CONVERTS,
  async run(t) {
    const file = await HostFile.create(t, 'SS');
    const toPrivate = new RawConversion(t, { offset: 0, size: PAGE_SIZE, to: 'private' });
    await file.mapping.write(0, toPrivate.bytes);
    file.forget(0);
    const struct = { address: file.mapping.address };
    t.succeeds(await t.host.raw.tryIoctl(file.gmem, toPrivate.request, struct), 'converting the page of the struct');
    await file.is('PS', 'after the conversion');
    t.fails(await t.host.raw.tryIoctl(file.gmem, toPrivate.request, struct), 'EFAULT', 'the struct is private now');
  },
});

export const cases: readonly AnyCase[] = [
  nullPointer,
  unreadable,
  readOnly,
  readOnlyReferenced,
  readOnlyNoMemory,
  inItself,
];
