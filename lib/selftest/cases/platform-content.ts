/** SEV-SNP and TDX: what one side wrote before a conversion is nothing the other side finds after it. */

import { PAGE_SIZE } from '../../abi/index.ts';
import type { VmType } from '../../kvm/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { CONVERTS } from '../conversion.ts';
import { SlottedFile } from '../slotted-file.ts';

const requires = (vmType: VmType) => ({ ...CONVERTS, vmType, guest: true }) as const;
const variants = { snp: 'snp', tdx: 'tdx' } as const;
const SLOT = { slot: 0, first: 0, count: 2, at: 0 };
const secret = new Uint8Array(PAGE_SIZE).fill(0x5e);

const toShared = defineCase<VmType>({
  name: 'content-of-private-memory-made-shared',
  about:
    'What the guest wrote as private memory is not what the host reads once it is shared: ciphertext on SEV-SNP, lost on ' +
    'TDX (attributes2 b.5; A. Tng, 25 June 2025).',
  requires,
  variants,
  async run(t) {
    const s = await SlottedFile.create(t, 2, [SLOT]);
    const guest = t.guest(s.vm);
    await s.convert(0, 1, 'private');
    t.equal((await guest.write(s.gpa(0), secret, 'private')).ok, true, 'the guest writes its private page');
    t.equal(await guest.read(s.gpa(0), PAGE_SIZE, 'private'), { ok: true, bytes: secret }, 'the guest reads it back');
    await s.convert(0, 1, 'shared');
    const seen = await s.mapping.read(0, PAGE_SIZE);
    t.notEqual(seen, secret, 'what the host reads');
    const asShared = await guest.read(s.gpa(0), PAGE_SIZE, 'shared');
    t.equal(asShared, { ok: true, bytes: seen }, 'what the guest reads as shared memory');
    t.equal(await s.mapping.read(PAGE_SIZE, 1), Uint8Array.of(2), 'the page beside it');
  },
});

const afterSlot = defineCase({
  name: 'content-of-private-memory-after-its-slot-is-gone',
  about:
    'Deleting the slot takes private pages out of a TD, which loses them: nothing comes to light when they are made shared.',
  requires: requires('tdx'),
  async run(t) {
    const s = await SlottedFile.create(t, 2, [SLOT]);
    await s.convert(0, 1, 'private');
    t.equal((await t.guest(s.vm).write(s.gpa(0), secret, 'private')).ok, true, 'the guest writes its private page');
    await s.vm.deleteMemoryRegion(SLOT.slot);
    await s.convert(0, 1, 'shared');
    t.notEqual(await s.mapping.read(0, PAGE_SIZE), secret, 'what the host reads');
  },
});

const toPrivate = defineCase<VmType>({
  name: 'content-of-shared-memory-made-private',
  about:
    'What the host wrote while the page was shared is not what the guest reads as private memory: encrypted with the ' +
    'guest’s key on SEV-SNP, cleared when TDX adds the page (attributes2 b.5).',
  requires,
  variants,
  async run(t, type) {
    const s = await SlottedFile.create(t, 2, [SLOT]);
    const guest = t.guest(s.vm);
    await s.mapping.write(0, secret);
    await s.convert(0, 1, 'private');
    const seen = await guest.read(s.gpa(0), PAGE_SIZE, 'private');
    t.equal(seen.ok, true, 'the guest reads its private page');
    if (seen.ok) t.notEqual(seen.bytes, secret, 'what the guest reads');
    if (seen.ok && type === 'tdx') t.equal(seen.bytes, new Uint8Array(PAGE_SIZE), 'what a TD reads of a new page');
    t.equal((await guest.write(s.gpa(0), secret, 'private')).ok, true, 'the guest writes it');
    t.equal(await guest.read(s.gpa(0), PAGE_SIZE, 'private'), { ok: true, bytes: secret }, 'the guest reads it back');
  },
});

const untouched = defineCase<VmType>({
  name: 'content-of-shared-pages-beside-a-conversion',
  about:
    'Pages outside of the range keep their contents for host and guest (RFC v2; v13: the exact range is unmapped).',
  requires,
  variants,
  async run(t) {
    const s = await SlottedFile.create(t, 2, [SLOT]);
    const guest = t.guest(s.vm);
    t.equal((await guest.write(s.gpa(1), secret, 'shared')).ok, true, 'the guest writes the shared page');
    for (const to of ['private', 'shared'] as const) {
      await s.convert(0, 1, to);
      t.equal(await s.mapping.read(PAGE_SIZE, PAGE_SIZE), secret, `what the host reads, page 0 ${to}`);
      const seen = await guest.read(s.gpa(1), PAGE_SIZE, 'shared');
      t.equal(seen, { ok: true, bytes: secret }, `what the guest reads, page 0 ${to}`);
    }
  },
});

const punched = defineCase<VmType>({
  name: 'content-of-a-punched-private-page',
  about: 'A punched page is a new one: nothing of the old contents is left for either side (kvm_gmem_punch_hole()).',
  requires,
  variants,
  async run(t, type) {
    const s = await SlottedFile.create(t, 2, [SLOT]);
    const guest = t.guest(s.vm);
    await s.convert(0, 1, 'private');
    t.equal((await guest.write(s.gpa(0), secret, 'private')).ok, true, 'the guest writes its private page');
    await s.gmem.punchHole({ offset: 0, size: PAGE_SIZE });
    const seen = await guest.read(s.gpa(0), PAGE_SIZE, 'private');
    t.equal(seen.ok, true, 'the guest reads the hole');
    if (seen.ok) t.notEqual(seen.bytes, secret, 'what the guest reads');
    if (seen.ok && type === 'tdx') t.equal(seen.bytes, new Uint8Array(PAGE_SIZE), 'what a TD reads of a new page');
    await s.gmem.punchHole({ offset: 0, size: PAGE_SIZE });
    await s.convert(0, 1, 'shared');
    t.equal(await s.mapping.read(0, PAGE_SIZE), new Uint8Array(PAGE_SIZE), 'what the host reads');
  },
});

export const cases: readonly AnyCase[] = [toShared, afterSlot, toPrivate, untouched, punched];
