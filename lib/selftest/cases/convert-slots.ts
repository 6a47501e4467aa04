/** Conversion and memslots: the range belongs to the file, the slots show parts of it. */

import { MAP_ANONYMOUS, MAP_PRIVATE, PAGE_SIZE, PROT_READ, PROT_WRITE } from '../../abi/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { CONVERTS_PLAIN } from '../conversion.ts';
import { failed } from '../guest-view.ts';
import { GUEST_START } from '../scenario.ts';
import { SlottedFile } from '../slotted-file.ts';

const GUEST = { ...CONVERTS_PLAIN, guest: true } as const;
const bytes = (pages: number): number => pages * PAGE_SIZE;

const across = defineCase<boolean>({
  name: 'convert-across-slots',
  about:
    'One conversion may span several slots in any order, parts of slots and pages that no slot shows; bound later, ' +
    'those have their state (RFC v2 patch 04; v13: the state belongs to the inode).',
  requires: GUEST,
  variants: { 'with-userspace-addr': true, 'userspace-addr-0': false },
  async run(t, userspace) {
    // Pages 2, 3 and 7 of the file are bound nowhere; the second half stands below the first.
    const slots = [
      { slot: 1, first: 0, count: 2, at: 100 },
      { slot: 2, first: 4, count: 3, at: 10 },
    ];
    const s = await SlottedFile.create(t, 8, slots, userspace);
    for (const [at, page] of [
      [100, 0],
      [101, 1],
      [10, 4],
      [11, 5],
      [12, 6],
    ] as const)
      await s.guestUses(at, page + 1);
    await s.convert(1, 5, 'private');
    t.equal(await s.layout(), 'SPPPPPSS', 'the pages');
    for (const [at, page] of [
      [100, 0],
      [101, 1],
      [10, 4],
      [11, 5],
      [12, 6],
    ] as const) {
      await s.guestUses(at, page + 1, page + 0x21);
    }
    await s.guestHasNothing(102);
    await s.add({ slot: 3, first: 2, count: 2, at: 200 }, userspace ? s.mapping.address + BigInt(bytes(2)) : 0n);
    await s.guestUses(200, 3, 0x23);
    await s.guestUses(201, 4, 0x24);
    t.equal(await s.layout(), 'SPPPPPSS', 'the pages after another slot was made');
    await s.convert(0, 8, 'shared');
    const found = [];
    for (let page = 0; page < 8; page += 1) found.push((await s.mapping.read(bytes(page), 1))[0]);
    t.equal(found, [0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 8], 'what the host finds on pages 0 to 7');
  },
});

const unbound = defineCase({
  name: 'convert-without-a-slot',
  about: 'A file that no slot shows is converted like any other, and a slot made later has the state (RFC v2; v13).',
  requires: GUEST,
  async run(t) {
    const s = await SlottedFile.create(t, 4, []);
    await s.convert(1, 2, 'private');
    t.equal(await s.layout(), 'SPPS', 'the pages');
    await s.add({ slot: 0, first: 0, count: 4, at: 0 }, s.mapping.address);
    for (let page = 0; page < 4; page += 1) await s.guestUses(page, page + 1);
    t.equal(await s.layout(), 'SPPS', 'the pages with a slot');
    await s.vm.deleteMemoryRegion(0);
    await s.guestHasNothing(1);
    t.equal(await s.layout(), 'SPPS', 'the pages without the slot');
    await s.convert(0, 4, 'shared');
    t.equal(await s.layout(), 'SSSS', 'the pages converted without the slot');
  },
});

const clamped = defineCase<boolean>({
  name: 'convert-unmaps-exactly-its-part-of-each-slot',
  about:
    'Of each slot exactly the guest pages that show the range are unmapped, and slots beside it are left alone ' +
    '(kvm_gmem_invalidate_start(): gfn range clamped per slot; RFC v2 patches 04 and 38; v13).',
  requires: { ...GUEST, steps: true },
  variants: { 'to-private': true, 'to-shared': false },
  async run(t, toPrivate) {
    const slots = [
      { slot: 1, first: 0, count: 4, at: 0x100 },
      { slot: 2, first: 4, count: 4, at: 0x40 },
      { slot: 3, first: 12, count: 2, at: 0x80 },
    ];
    const s = await SlottedFile.create(t, 14, slots, false);
    if (!toPrivate) await s.convert(0, 14, 'private');
    for (const { count, at } of slots) for (let i = 0; i < count; i += 1) await t.guest(s.vm).read(s.gpa(at + i), 1);
    t.steps.clear();
    await s.convert(2, 7, toPrivate ? 'private' : 'shared');
    const unmapped = t.steps.entries.filter(({ step }) => step === 'unmap-stage2');
    const base = Number(GUEST_START) / PAGE_SIZE;
    t.equal(
      unmapped.map(({ start, end }) => [start - base, end - base]),
      [
        [0x102, 0x104],
        [0x40, 0x44],
      ],
      'first and end of the guest pages unmapped',
    );
  },
});

const foreignAddress = defineCase({
  name: 'convert-with-foreign-userspace-addr',
  about:
    'With in-place conversion all guest accesses come from the file, whatever userspace_addr says ' +
    '(v13, KVM_MEMSLOT_GMEM_ONLY for every guest_memfd slot).',
  requires: { ...GUEST, dialect: ['attributes2'] },
  async run(t) {
    const { syscalls } = t.host.raw;
    const length = bytes(2);
    const foreign = await syscalls.mmap(length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0n);
    t.defer(() => syscalls.munmap(foreign, length));
    await syscalls.copyIn(foreign, new Uint8Array(length).fill(0xf0));
    const s = await SlottedFile.create(t, 2, []);
    await s.add({ slot: 0, first: 0, count: 2, at: 0 }, foreign);
    await s.guestUses(0, 1, 0x11);
    await s.convert(0, 1, 'private');
    await s.guestUses(0, 0x11, 0x21);
    await s.convert(0, 1, 'shared');
    t.equal(await s.mapping.read(0, 1), Uint8Array.of(0x21), 'what the host finds in the file');
    const other = new Uint8Array(length);
    await syscalls.copyOut(foreign, other);
    t.equal(other, new Uint8Array(length).fill(0xf0), 'the memory at userspace_addr');
  },
});

const plainSlot = defineCase({
  name: 'convert-memory-shown-by-a-plain-slot',
  about:
    'A slot without a guest_memfd whose userspace_addr maps one loses its pages with the host: the guest, which had them ' +
    'mapped, then gets KVM_RUN to fail with EFAULT (unmap_mapping_pages(), MMU notifier; kvm_handle_error_pfn()).',
  requires: { ...GUEST, vmType: 'sw-protected' },
  async run(t) {
    const s = await SlottedFile.create(t, 4, []);
    const guestPhysAddr = s.gpa(0);
    await s.vm.setMemoryRegion({ slot: 0, guestPhysAddr, size: bytes(4), userspaceAddr: s.mapping });
    for (let page = 0; page < 4; page += 1) await s.guestUses(page, page + 1);
    await s.convert(1, 2, 'private');
    const guest = t.guest(s.vm);
    for (const page of [1, 2]) {
      t.equal(await guest.read(s.gpa(page), 1), { ok: false, exit: failed() }, `the guest reads private page ${page}`);
    }
    for (const page of [0, 3]) await s.guestUses(page, page + 1);
    await s.convert(0, 4, 'shared');
    for (let page = 0; page < 4; page += 1) await s.guestUses(page, page + 1);
  },
});

export const cases: readonly AnyCase[] = [across, unbound, clamped, foreignAddress, plainSlot];
