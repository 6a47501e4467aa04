/** What a guest finds through slots that a guest_memfd backs, while they come and go: KVM_X86_DEFAULT_VM, shared memory. */

import { PAGE_SIZE } from '../../abi/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { GuestView, mmio } from '../guest-view.ts';
import { PATTERN, PatternFile } from '../pattern.ts';
import type { Requires } from '../requires.ts';

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

export const cases: readonly AnyCase[] = [sees, first, offsets, deleted, hole, otherSpace];
