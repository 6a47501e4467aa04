/** What a guest finds through slots without a guest_memfd: the memory of this process, wherever it comes from. */

import { KVM_MEM_READONLY, PAGE_SIZE } from '../../abi/index.ts';
import { anonymous } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { failed, GuestView, mmio } from '../guest-view.ts';
import { PATTERN, PatternFile } from '../pattern.ts';
import { setRegion } from '../region.ts';
import type { Requires } from '../requires.ts';

const P = PAGE_SIZE;
const PAGE = BigInt(P);
const GPA = 0x1_0000_0000n;
const GUEST: Requires = { ...PATTERN, guest: true };

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
    await guest.exits(GPA, failed, 'after munmap');
    await file.isIntact('after munmap, for the host');
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

const nowhere = defineCase({
  name: 'guest-plain-slot-without-memory',
  about:
    'A plain slot at an address where nothing is mapped gives a bare EFAULT, without an exit (kvm_handle_error_pfn()).',
  requires: { guest: true },
  async run(t) {
    const vm = await t.vm();
    await vm.setMemoryRegion({ slot: 1, guestPhysAddr: GPA, size: 2 * P });
    const guest = new GuestView(t, vm);
    for (const gpa of [GPA, GPA + PAGE]) await guest.exits(gpa, failed, 'in the slot');
    await guest.exits(GPA + 2n * PAGE, mmio(GPA + 2n * PAGE), 'behind it');
  },
});

export const cases: readonly AnyCase[] = [plain, moved, readonly, nowhere];
