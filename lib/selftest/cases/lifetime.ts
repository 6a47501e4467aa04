/** What lives how long: descriptors, slots, and the VM. Memory is in `memory-lifetime.ts`. */

import {
  KVM_GMEM_CONVERT_PRIVATE,
  KVM_MEM_GUEST_MEMFD,
  KVM_SET_MEMORY_ATTRIBUTES2,
  PAGE_SIZE,
} from '../../abi/index.ts';
import { MemoryUse } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { PATTERN, PatternFile } from '../pattern.ts';
import { checkBound, checkCovered, deleteSlot, setRegion } from '../region.ts';

const P = PAGE_SIZE;
const GPA = 0x1_0000_0000n;

const dup = defineCase({
  name: 'dup-shares-the-file',
  about: 'A copied descriptor is the same file: inode, contents, holes and mappings (VFS; the state is the inode’s).',
  requires: PATTERN,
  async run(t) {
    const file = await PatternFile.create(t);
    const copy = await file.gmem.dup();
    t.defer(() => copy.close());
    t.equal(await copy.stat(), await file.gmem.stat(), 'fstat of the copy');
    const mapping = await copy.map();
    t.defer(() => mapping.close());
    t.equal(await mapping.read(0, file.size), file.contents, 'what the copy maps');
    await mapping.fill(P, P, 0xd1);
    file.becomes(0xd1, 1);
    await file.isIntact('after writing through the copy');
    t.succeeds(await copy.tryPunchHole({ offset: 0, size: P }), 'punching through the copy');
    file.becomes(0, 0);
    await file.isIntact('after punching through the copy');
  },
});

const closeOne = defineCase({
  name: 'close-one-of-two-descriptors',
  about: 'A slot is backed as long as one descriptor of the file is open, whichever it was made with (fput()).',
  requires: PATTERN,
  async run(t) {
    const vm = await t.vm();
    const gmem = await t.gmem(vm, { size: 2 * P });
    const copy = await gmem.dup();
    t.defer(() => copy.close());
    await vm.setMemoryRegion({ slot: 1, guestPhysAddr: GPA, size: P, gmem });
    await gmem.close();
    await checkBound(t, vm, copy, [true, false], 'after closing the one it was made with');
    t.succeeds(await copy.tryAllocate({ offset: 0, size: 2 * P }), 'allocating through the other');
    await vm.setMemoryRegion({ slot: 2, guestPhysAddr: GPA + BigInt(P), size: P, gmem: copy, gmemOffset: P });
    await checkBound(t, vm, copy, [true, true], 'after binding the rest through the other');
    t.succeeds(await deleteSlot(t, vm, 1), 'deleting the first slot');
    await checkBound(t, vm, copy, [false, true], 'after deleting the first slot');
  },
});

const closeLast = defineCase({
  name: 'close-the-last-descriptor',
  about: 'The slots of a closed file stay, unbacked, and can be deleted like any other (kvm_gmem_release()).',
  async run(t) {
    const vm = await t.vm();
    const gmem = await t.gmem(vm, { size: 2 * P });
    const memory = new MemoryUse(t);
    await gmem.allocate({ offset: 0, size: 2 * P });
    await vm.setMemoryRegion({ slot: 1, guestPhysAddr: GPA, size: 2 * P, gmem });
    await gmem.close();
    memory.grewBy(0, 'after the close');
    await checkCovered(t, vm, GPA, true, 'after the close');
    const change = { slot: 1, guest_phys_addr: 0n, memory_size: 2 * P };
    t.fails(await setRegion(t, vm, change), 'EINVAL', 'moving the slot, which is still one with a guest_memfd');
    const next = await t.gmem(vm, { size: 2 * P });
    const region = { slot: 1, flags: KVM_MEM_GUEST_MEMFD, guest_phys_addr: GPA, memory_size: 2 * P };
    t.fails(await setRegion(t, vm, { ...region, guest_memfd: next.fd }), 'EINVAL', 'another file for the slot');
    t.succeeds(await deleteSlot(t, vm, 1), 'deleting the slot');
    await checkCovered(t, vm, GPA, false, 'after deleting it');
    t.succeeds(await setRegion(t, vm, { ...region, guest_memfd: next.fd }), 'another file once it is gone');
  },
});

const vmFirst = defineCase({
  name: 'guest-memfd-keeps-the-vm',
  about:
    'The file keeps its VM alive, so that everything but placing it in a guest goes on when the VM’s descriptor is ' +
    'closed (kvm_get_kvm() in __kvm_gmem_create(); private_mem_conversions_test).',
  requires: PATTERN,
  async run(t) {
    const file = await PatternFile.create(t);
    const { gmem, vm } = file;
    await vm.setMemoryRegion({ slot: 1, guestPhysAddr: GPA, size: file.size, gmem });
    await vm.close();
    await file.isIntact('after closing the VM');
    t.succeeds(await gmem.tryPunchHole({ offset: 0, size: file.size }), 'punching');
    file.becomes(0, 0, 1, 2, 3);
    await file.isIntact('after punching');
    t.succeeds(await gmem.tryAllocate({ offset: 0, size: file.size }), 'allocating');
    await file.write(3, 0x15);
    await file.isIntact('after allocating and writing');
    const later = await gmem.map();
    t.defer(() => later.close());
    t.equal(await later.read(0, file.size), file.contents, 'a mapping made later');
  },
});

const convertsWithoutVm = defineCase({
  name: 'guest-memfd-ioctl-without-the-vm',
  about:
    'The conversion ioctls work on when the VM’s descriptor is closed: the state is the memory’s (RFC v2 patch 04; ' +
    'v13, kvm_gmem_ioctl()). A kernel without them still says ENOTTY.',
  requires: { vmType: 'default' },
  async run(t) {
    const { dialect } = t.features;
    // attributes2 asks the file's VM whether it has private memory: that this is answered shows that it is there.
    const vm = await t.vm();
    const gmem = await t.gmem(vm, { size: P });
    await vm.close();
    const range = { offset: 0, size: P };
    const rfc = await t.host.raw.tryIoctl(gmem, KVM_GMEM_CONVERT_PRIVATE, range);
    if (dialect === 'rfc-convert') t.succeeds(rfc, 'KVM_GMEM_CONVERT_PRIVATE');
    else t.fails(rfc, 'ENOTTY', 'KVM_GMEM_CONVERT_PRIVATE');
    const attributes = await t.host.raw.tryIoctl(gmem, KVM_SET_MEMORY_ATTRIBUTES2, range);
    const code = dialect === 'attributes2' ? 'EINVAL' : 'ENOTTY';
    t.fails(attributes, code, 'KVM_SET_MEMORY_ATTRIBUTES2 on a VM without private memory');
  },
});

export const cases: readonly AnyCase[] = [dup, closeOne, closeLast, vmFirst, convertsWithoutVm];
