/** What a guest finds through its memory regions while they come, go and move: KVM_X86_DEFAULT_VM, shared memory. */

import { KVM_MEM_READONLY, PAGE_SIZE } from '../../abi/index.ts';
import { anonymous } from '../bare.ts';
import { type AnyCase, defineCase, type Requires } from '../case.ts';
import { GuestView, memoryFault, mmio } from '../guest-view.ts';
import { PATTERN, PatternFile } from '../pattern.ts';
import { setRegion } from '../region.ts';

const P = PAGE_SIZE;
const PAGE = BigInt(P);
const GPA = 0x1_0000_0000n;
const GUEST: Requires = { ...PATTERN, guest: true };

const sees = defineCase({
  name: 'guest-sees-the-file',
  about: 'Host and guest share the file’s pages: each finds what the other wrote (kvm_mmu_faultin_pfn_gmem()).',
  requires: GUEST,
  async run(t) {
    const file = await PatternFile.create(t);
    const guest = new GuestView(t, file.vm);
    await file.vm.setMemoryRegion({ slot: 1, guestPhysAddr: GPA, size: file.size, gmem: file.gmem });
    await guest.reads(GPA, file.contents, 'at first');
    await file.write(2, 0x9d);
    await guest.reads(GPA, file.contents, 'after the host wrote');
    await guest.writes(GPA + PAGE, new Uint8Array(2 * P).fill(0x3e), 'then');
    file.becomes(0x3e, 1, 2);
    await file.isIntact('after the guest wrote');
    await guest.writes(GPA + PAGE - 3n, new Uint8Array(6).fill(0x11), 'across two pages');
    const around = await file.mapping.read(P - 4, 8);
    t.equal(around, Uint8Array.of(0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x3e), 'what the host finds around it');
  },
});

const first = defineCase({
  name: 'guest-first-touch-reads-zero',
  about: 'What the guest touches first is zero, and the host then finds the same page (kvm_gmem_get_pfn()).',
  requires: GUEST,
  async run(t) {
    const file = await PatternFile.create(t, { written: false });
    const guest = new GuestView(t, file.vm);
    await file.vm.setMemoryRegion({ slot: 1, guestPhysAddr: GPA, size: file.size, gmem: file.gmem });
    await file.gmem.allocate({ offset: 0, size: P });
    await guest.reads(GPA, new Uint8Array(file.size), 'a page that was allocated, and three that were not');
    await guest.writes(GPA + 3n * PAGE, file.page(0).fill(0x29), 'the last page');
    file.becomes(0x29, 3);
    await file.isIntact('for the host');
  },
});

const offsets = defineCase({
  name: 'guest-sees-pages-where-they-are-bound',
  about:
    'Each slot shows the pages of the file from its offset on; what lies in no slot is MMIO (kvm_gmem_get_index()).',
  requires: GUEST,
  async run(t) {
    const file = await PatternFile.create(t);
    const { vm, gmem } = file;
    const guest = new GuestView(t, vm);
    // Pages 2 and 3 first, then page 0 right behind them; page 1 is nowhere.
    await vm.setMemoryRegion({ slot: 1, guestPhysAddr: GPA, size: 2 * P, gmem, gmemOffset: 2 * P });
    await vm.setMemoryRegion({ slot: 2, guestPhysAddr: GPA + 2n * PAGE, size: P, gmem, gmemOffset: 0 });
    const expected = new Uint8Array(3 * P);
    for (const [at, page] of [2, 3, 0].entries()) expected.set(file.page(page), at * P);
    await guest.reads(GPA, expected, 'three pages in two slots');
    await guest.exits(GPA - PAGE, mmio(GPA - PAGE), 'in front of them');
    await guest.exits(GPA + 3n * PAGE, mmio(GPA + 3n * PAGE), 'behind them');
    await guest.writes(GPA + 2n * PAGE, new Uint8Array(P).fill(0x5f), 'the page behind');
    file.becomes(0x5f, 0);
    await file.isIntact('for the host');
  },
});

const deleted = defineCase({
  name: 'guest-deleted-slot',
  about:
    'Where a slot was deleted the guest gets an MMIO exit, also where it was before; the file keeps its contents and ' +
    'shows them in the next slot, wherever that is (private_mem_kvm_exits_test; kvm_gmem_unbind()).',
  requires: GUEST,
  async run(t) {
    const file = await PatternFile.create(t);
    const { vm, gmem, size } = file;
    const guest = new GuestView(t, vm);
    const region = await vm.setMemoryRegion({ slot: 1, guestPhysAddr: GPA, size, gmem });
    await guest.reads(GPA, file.contents, 'at first');
    await region.delete();
    for (const gpa of [GPA, GPA + 3n * PAGE]) await guest.exits(gpa, mmio(gpa), 'after deleting the slot');
    await file.isIntact('for the host');
    await vm.setMemoryRegion({ slot: 5, guestPhysAddr: GPA + 2n * PAGE, size, gmem });
    await guest.reads(GPA + 2n * PAGE, file.contents, 'at the new place');
    await guest.exits(GPA, mmio(GPA), 'at the old place');
  },
});

const hole = defineCase({
  name: 'guest-sees-a-hole',
  about: 'A punched hole goes from the guest’s tables too, and reads 0 there (kvm_gmem_punch_hole()).',
  requires: GUEST,
  async run(t) {
    const file = await PatternFile.create(t);
    const guest = new GuestView(t, file.vm);
    await file.vm.setMemoryRegion({ slot: 1, guestPhysAddr: GPA, size: file.size, gmem: file.gmem });
    await guest.reads(GPA, file.contents, 'at first');
    await file.gmem.punchHole({ offset: P, size: 2 * P });
    file.becomes(0, 1, 2);
    await guest.reads(GPA, file.contents, 'after the hole');
    await guest.writes(GPA + PAGE, new Uint8Array(P).fill(0x4c), 'into the hole');
    file.becomes(0x4c, 1);
    await file.isIntact('for the host');
  },
});

const moved = defineCase({
  name: 'guest-moved-slot',
  about: 'A plain slot that is moved shows the same memory at its new place, and nothing at the old (KVM_MR_MOVE).',
  requires: GUEST,
  async run(t) {
    const file = await PatternFile.create(t);
    const { vm, mapping, size } = file;
    const guest = new GuestView(t, vm);
    const place = (gpa: bigint) => ({
      slot: 1,
      guest_phys_addr: gpa,
      memory_size: size,
      userspace_addr: mapping.address,
    });
    t.succeeds(await setRegion(t, vm, place(GPA)), 'a plain slot');
    await guest.reads(GPA, file.contents, 'at first');
    t.succeeds(await setRegion(t, vm, place(GPA + 2n * PAGE)), 'moving it');
    await guest.reads(GPA + 2n * PAGE, file.contents, 'at the new place');
    await guest.exits(GPA, mmio(GPA), 'at the old place');
  },
});

const plain = defineCase({
  name: 'guest-plain-slot',
  about:
    'A slot without a guest_memfd shows what is mapped at userspace_addr, also a guest_memfd’s shared pages, and lets ' +
    'go of it with the mapping (__kvm_mmu_faultin_pfn(), MMU notifier).',
  requires: GUEST,
  async run(t) {
    const file = await PatternFile.create(t);
    const { vm, size } = file;
    const guest = new GuestView(t, vm);
    const mapping = await file.gmem.map();
    t.defer(() => mapping.close());
    await vm.setMemoryRegion({ slot: 1, guestPhysAddr: GPA, size, userspaceAddr: mapping });
    await guest.reads(GPA, file.contents, 'at first');
    await guest.writes(GPA, new Uint8Array(P).fill(0x77), 'the first page');
    file.becomes(0x77, 0);
    await file.isIntact('for the host');
    await file.gmem.punchHole({ offset: P, size: P });
    file.becomes(0, 1);
    await guest.reads(GPA, file.contents, 'after a hole');
    await mapping.close();
    await guest.exits(GPA, memoryFault(GPA), 'after munmap');
    await file.isIntact('after munmap, for the host');
  },
});

const nowhere = defineCase({
  name: 'guest-plain-slot-without-memory',
  about:
    'A plain slot at an address where nothing is mapped gives EFAULT with a memory fault (kvm_handle_error_pfn()).',
  requires: { guest: true },
  async run(t) {
    const vm = await t.vm();
    await vm.setMemoryRegion({ slot: 1, guestPhysAddr: GPA, size: 2 * P });
    const guest = new GuestView(t, vm);
    for (const gpa of [GPA, GPA + PAGE]) await guest.exits(gpa, memoryFault(gpa), 'in the slot');
    await guest.exits(GPA + 2n * PAGE, mmio(GPA + 2n * PAGE), 'behind it');
  },
});

const readonly = defineCase({
  name: 'guest-readonly-slot',
  about: 'Writes to a read-only slot are MMIO exits and change nothing; reads are ordinary (KVM_MEM_READONLY).',
  requires: { guest: true },
  async run(t) {
    const vm = await t.vm();
    const address = await anonymous(t, P);
    const { syscalls } = t.host.raw;
    await syscalls.copyIn(address, new Uint8Array(P).fill(0x33));
    const region = { slot: 1, flags: KVM_MEM_READONLY, guest_phys_addr: GPA, memory_size: P, userspace_addr: address };
    t.succeeds(await setRegion(t, vm, region), 'a read-only slot');
    const view = new GuestView(t, vm);
    await view.reads(GPA, new Uint8Array(P).fill(0x33), 'at first');
    const written = await t.guest(vm).write(GPA, Uint8Array.of(1));
    t.equal(written, { ok: false, exit: { reason: 'mmio', gpa: GPA, write: true } }, 'the guest writes');
    await view.reads(GPA, new Uint8Array(P).fill(0x33), 'after that');
  },
});

const otherSpace = defineCase({
  name: 'guest-other-address-space',
  about: 'Outside system management mode a vCPU sees the slots of address space 0 alone (kvm_arch_vcpu_memslots_id()).',
  requires: GUEST,
  async run(t) {
    const file = await PatternFile.create(t);
    const { vm, gmem } = file;
    if ((await vm.checkExtension('KVM_CAP_MULTI_ADDRESS_SPACE')) < 2) {
      t.skip('needs a second address space (CONFIG_KVM_SMM): KVM_CAP_MULTI_ADDRESS_SPACE says there is one');
    }
    await vm.setMemoryRegion({ slot: 1, addressSpace: 1, guestPhysAddr: GPA, size: P, gmem });
    const guest = new GuestView(t, vm);
    await guest.exits(GPA, mmio(GPA), 'with a slot in address space 1');
    await vm.setMemoryRegion({ slot: 1, guestPhysAddr: GPA, size: P, gmem, gmemOffset: P });
    await guest.reads(GPA, file.page(1), 'with a slot in each');
  },
});

export const cases: readonly AnyCase[] = [
  sees,
  first,
  offsets,
  deleted,
  hole,
  moved,
  plain,
  nowhere,
  readonly,
  otherSpace,
];
