/** From where a guest gets a page: the file, userspace_addr, or nowhere. */

import {
  type Dialect,
  GUEST_MEMFD_FLAG_INIT_SHARED,
  KVM_MEMORY_EXIT_FLAG_PRIVATE,
  PAGE_SIZE,
  PROT_WRITE,
} from '../../abi/index.ts';
import { anonymous } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { failed, GuestView, memoryFault } from '../guest-view.ts';
import { PATTERN, PatternFile } from '../pattern.ts';

const P = PAGE_SIZE;
const GPA = 0x1_0000_0000n;
const RELEASED: readonly Dialect[] = ['attributes2', 'vm-attributes', 'none'];
const bytes = (byte: number): Uint8Array => new Uint8Array(P).fill(byte);

/** Memory of this process, with this byte all over; where the guest is to find it, or not to. */
async function userMemory(t: T, byte: number): Promise<bigint> {
  const address = await anonymous(t, P);
  t.equal(await t.host.raw.syscalls.copyIn(address, bytes(byte)), P, 'writing to the memory of this process');
  return address;
}

async function userReads(t: T, address: bigint, byte: number, what: string): Promise<void> {
  const found = new Uint8Array(P);
  await t.host.raw.syscalls.copyOut(address, found);
  t.equal(found, bytes(byte), `${what}: the memory of this process`);
}

const mappable = defineCase({
  name: 'guest-mappable-file-comes-first',
  about:
    'Where the file can be mapped the guest gets all its pages from it, and never from userspace_addr ' +
    '(KVM_MEMSLOT_GMEM_ONLY, kvm_mmu_faultin_pfn()).',
  requires: { ...PATTERN, guest: true, dialect: RELEASED },
  async run(t) {
    const file = await PatternFile.create(t, { pages: 1 });
    const userspaceAddr = await userMemory(t, 0xee);
    await file.vm.setMemoryRegion({ slot: 1, guestPhysAddr: GPA, size: P, gmem: file.gmem, userspaceAddr });
    const guest = new GuestView(t, file.vm);
    await guest.reads(GPA, file.page(0), 'at first');
    await guest.writes(GPA, bytes(0x21), 'then');
    file.becomes(0x21, 0);
    await file.isIntact('for the host');
    await userReads(t, userspaceAddr, 0xee, 'afterwards');
  },
});

/** Who has the page of a slot whose file cannot be mapped, on a VM without private memory. */
const UNMAPPABLE: Readonly<Record<Dialect, Readonly<Record<'private' | 'shared', 'file' | 'user' | 'nobody'>>>> = {
  none: { private: 'user', shared: 'user' },
  'vm-attributes': { private: 'user', shared: 'user' },
  'rfc-convert': { private: 'user', shared: 'user' },
  // Every slot is gmem-only there, and a plain VM's guest can only ask for shared memory.
  attributes2: { private: 'nobody', shared: 'file' },
};

const unmappable = defineCase<'private' | 'shared'>({
  name: 'guest-unmappable-file',
  about:
    'A file that cannot be mapped backs private memory only, and shared memory comes from userspace_addr; with ' +
    'in-place conversion all of it comes from the file, by the state of the page (v13, prepare_memory_region).',
  requires: (state) => ({ guest: true, ...(state === 'shared' ? { ...PATTERN, dialect: RELEASED } : {}) }),
  variants: { 'that-starts-private': 'private', 'that-starts-shared': 'shared' },
  async run(t, state) {
    const vm = await t.vm();
    const gmem = await t.gmem(vm, { size: P, rawFlags: state === 'shared' ? GUEST_MEMFD_FLAG_INIT_SHARED : 0 });
    const userspaceAddr = await userMemory(t, 0x66);
    await vm.setMemoryRegion({ slot: 1, guestPhysAddr: GPA, size: P, gmem, userspaceAddr });
    const guest = new GuestView(t, vm);
    const from = UNMAPPABLE[t.features.dialect][state];
    if (from === 'nobody') await guest.exits(GPA, memoryFault(GPA), 'in the slot');
    else {
      await guest.reads(GPA, bytes(from === 'user' ? 0x66 : 0), 'in the slot');
      await guest.writes(GPA, bytes(0x67), 'in the slot');
      await guest.reads(GPA, bytes(0x67), 'after writing');
    }
    await userReads(t, userspaceAddr, from === 'user' ? 0x67 : 0x66, 'afterwards');
  },
});

const plainVm = defineCase({
  name: 'guest-of-a-default-vm-has-private-memory',
  about:
    'Without conversion in place a plain VM’s guest uses a file that starts private like any other, and only the host ' +
    'is kept out (kvm_gmem_get_pfn() of 7.3 looks at no state).',
  requires: { guest: true, flags: ['init-private'], dialect: ['vm-attributes', 'none'] },
  async run(t) {
    const vm = await t.vm();
    const gmem = await t.gmem(vm, { size: P, mmap: true, initially: 'private' });
    const mapping = await gmem.map();
    t.defer(() => mapping.close());
    await vm.setMemoryRegion({ slot: 1, guestPhysAddr: GPA, size: P, gmem });
    const guest = new GuestView(t, vm);
    await guest.reads(GPA, bytes(0), 'at first');
    await guest.writes(GPA, bytes(0x35), 'then');
    t.fails(await mapping.tryRead(0, 1), 'EFAULT', 'the host reads');
    t.fails(await mapping.tryWrite(0, Uint8Array.of(1)), 'EFAULT', 'the host writes');
    await guest.reads(GPA, bytes(0x35), 'after that');
  },
});

const closed = defineCase({
  name: 'guest-unbacked-slot',
  about:
    'When the last descriptor and the last mapping are gone the slot is unbacked: EFAULT with a memory fault, until ' +
    'then the guest goes on (kvm_gmem_release(), kvm_gmem_get_pfn()).',
  requires: { ...PATTERN, guest: true },
  async run(t) {
    const file = await PatternFile.create(t, { pages: 1 });
    const { vm, gmem, mapping } = file;
    const copy = await gmem.dup();
    t.defer(() => copy.close());
    await vm.setMemoryRegion({ slot: 1, guestPhysAddr: GPA, size: P, gmem });
    const guest = new GuestView(t, vm);
    await guest.reads(GPA, file.page(0), 'with two descriptors');
    await gmem.close();
    await guest.writes(GPA, bytes(0x52), 'with one descriptor');
    await copy.close();
    await guest.reads(GPA, bytes(0x52), 'with a mapping only');
    await mapping.close();
    await guest.exits(GPA, memoryFault(GPA), 'with neither');
    const next = await PatternFile.create(t, { pages: 1, vm });
    await guest.exits(GPA, memoryFault(GPA), 'with another file that is not bound');
    await vm.deleteMemoryRegion(1);
    await vm.setMemoryRegion({ slot: 1, guestPhysAddr: GPA, size: P, gmem: next.gmem });
    await guest.reads(GPA, next.page(0), 'with another file in the slot');
  },
});

const attributesChoose = defineCase({
  name: 'guest-unmappable-file-by-attributes',
  about:
    'RFC v2 asks a file for its state only where the file can be shared; for another the VM’s attributes say whether ' +
    'the guest gets the file’s page or that at userspace_addr (kvm_mem_is_private(), patch 06).',
  requires: { guest: true, vmType: 'sw-protected', dialect: ['rfc-convert'] },
  async run(t) {
    const vm = await t.vm();
    const gmem = await t.gmem(vm, { size: P });
    const userspaceAddr = await userMemory(t, 0x10);
    await vm.setMemoryRegion({ slot: 1, guestPhysAddr: GPA, size: P, gmem, userspaceAddr });
    const guest = new GuestView(t, vm);
    await guest.reads(GPA, bytes(0x10), 'shared');
    await vm.setMemoryAttributes({ address: GPA, size: P, to: 'private' });
    await guest.reads(GPA, bytes(0), 'private');
    await guest.writes(GPA, bytes(0x20), 'private');
    await userReads(t, userspaceAddr, 0x10, 'while the guest page is private');
    await vm.setMemoryAttributes({ address: GPA, size: P, to: 'shared' });
    await guest.reads(GPA, bytes(0x10), 'shared again');
  },
});

const withoutFile = defineCase({
  name: 'guest-private-without-a-file',
  about:
    'A private page without a guest_memfd behind it, in a plain slot or in none, is EFAULT with a memory fault that ' +
    'says private (private_mem_kvm_exits_test).',
  requires: { guest: true, vmType: 'sw-protected', dialect: ['vm-attributes', 'rfc-convert'] },
  async run(t) {
    const vm = await t.vm();
    const behind = GPA + BigInt(P);
    await vm.setMemoryRegion({ slot: 1, guestPhysAddr: GPA, size: P, userspaceAddr: await userMemory(t, 0x10) });
    const guest = new GuestView(t, vm);
    await guest.reads(GPA, bytes(0x10), 'at first');
    await vm.setMemoryAttributes({ address: GPA, size: 2 * P, to: 'private' });
    const flags = KVM_MEMORY_EXIT_FLAG_PRIVATE;
    await guest.exits(GPA, memoryFault(GPA, flags), 'private, in a plain slot');
    await guest.exits(behind, memoryFault(behind, flags), 'private, in no slot');
    await vm.setMemoryAttributes({ address: GPA, size: P, to: 'shared' });
    await guest.reads(GPA, bytes(0x10), 'shared again');
    await guest.exits(behind, memoryFault(behind, flags), 'the page that was left private');
  },
});

const writeOnly = defineCase({
  name: 'guest-of-a-write-only-mapping',
  about:
    'In a plain slot over memory that is mapped for writing only, the guest may read what is in the host’s page table to ' +
    'be written, and nothing else: EFAULT where the host has not touched it or only read it, and in a read-only slot ' +
    '(hva_to_pfn_fast(), check_vma_flags()).',
  requires: { guest: true },
  async run(t) {
    const vm = await t.vm();
    const userspaceAddr = await anonymous(t, 4 * P, PROT_WRITE);
    await vm.setMemoryRegion({ slot: 1, guestPhysAddr: GPA, size: 4 * P, userspaceAddr });
    const { syscalls } = t.host.raw;
    const guest = new GuestView(t, vm);
    const page = (index: number): bigint => GPA + BigInt(index * P);
    const host = (index: number): bigint => userspaceAddr + BigInt(index * P);
    t.equal(await syscalls.copyOut(host(1), new Uint8Array(1)), 1, 'bytes that the host reads');
    t.equal(await syscalls.copyIn(host(2), bytes(0x21)), P, 'bytes that the host writes');
    for (const [index, what] of ['nobody has touched', 'the host has read'].entries()) {
      const read = await t.guest(vm).read(page(index), 1);
      t.equal(read, { ok: false, exit: failed() }, `the guest reads a page that ${what}`);
    }
    await guest.reads(page(2), bytes(0x21), 'written by the host');
    await guest.writes(page(3), bytes(0x31), 'untouched');
    await guest.reads(page(3), bytes(0x31), 'written by the guest');
    const readOnly = await anonymous(t, P, PROT_WRITE);
    await vm.setMemoryRegion({ slot: 2, guestPhysAddr: page(4), size: P, userspaceAddr: readOnly, readonly: true });
    t.equal(await syscalls.copyIn(readOnly, bytes(0x41)), P, 'bytes that the host writes under a read-only slot');
    const read = await t.guest(vm).read(page(4), 1);
    t.equal(read, { ok: false, exit: failed() }, 'the guest reads a page that it may not come to write');
  },
});

export const cases: readonly AnyCase[] = [
  mappable,
  unmappable,
  plainVm,
  closed,
  attributesChoose,
  withoutFile,
  writeOnly,
];
