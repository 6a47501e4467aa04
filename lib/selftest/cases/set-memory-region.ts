/** The part of the kernel's set_memory_region_test that is about guest_memfd, with its own numbers. */

import {
  KVM_MEM_GUEST_MEMFD,
  KVM_MEM_LOG_DIRTY_PAGES,
  KVM_MEM_READONLY,
  MFD_CLOEXEC,
  PAGE_SIZE,
} from '../../abi/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { boundTwice } from '../facts.ts';
import { deleteSlot, setRegion, setRegionV1 } from '../region.ts';

const SLOT = 10;
const GPA = 0xc000_0000n;
const SIZE = 0x20_0000;

const flags = defineCase({
  name: 'set_memory_region_invalid_flags',
  about:
    'Each flag that is none is EINVAL for both requests, that of guest_memfd for the older one, and a guest_memfd can be ' +
    'neither logged nor read-only (set_memory_region_test, test_invalid_memory_region_flags).',
  async run(t) {
    const vm = await t.vm('sw-protected' in t.features.createFlags ? 'sw-protected' : 'default');
    const known = KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY;
    const region = { memory_size: SIZE };
    for (let bit = 0; bit < 32; bit += 1) {
      const flag = 2 ** bit;
      if ((known & flag) !== 0) continue;
      t.fails(await setRegionV1(t, vm, { ...region, flags: flag }), 'EINVAL', `the older request with flag bit ${bit}`);
      if (flag === KVM_MEM_GUEST_MEMFD) continue;
      t.fails(await setRegion(t, vm, { ...region, flags: flag }), 'EINVAL', `the request with flag bit ${bit}`);
    }
    const gmem = await t.gmem(vm, { size: SIZE });
    for (const flag of [KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY]) {
      const both = { ...region, flags: flag | KVM_MEM_GUEST_MEMFD, guest_memfd: gmem.fd };
      t.fails(await setRegion(t, vm, both), 'EINVAL', `a guest_memfd with flag ${flag}`);
    }
  },
});

const add = defineCase({
  name: 'set_memory_region_add_private',
  about:
    'Only a guest_memfd of the same VM can be bound, at a page of it: any other file, and any offset within a page, is ' +
    'EINVAL (set_memory_region_test, test_add_private_memory_region).',
  requires: { vmType: 'private' },
  async run(t) {
    const vm = await t.vm();
    const bind = (fd: number, offset = 0) =>
      setRegion(t, vm, {
        slot: SLOT,
        flags: KVM_MEM_GUEST_MEMFD,
        guest_phys_addr: GPA,
        memory_size: SIZE,
        guest_memfd: fd,
        guest_memfd_offset: offset,
      });
    const other = await t.vm();
    const others = await t.gmem(other, { size: SIZE });
    const memfd = await t.host.raw.syscalls.memfdCreate('plain', MFD_CLOEXEC);
    t.defer(() => t.host.raw.syscalls.close(memfd));
    t.fails(await bind(vm.fd), 'EINVAL', 'binding a VM');
    t.fails(await bind(memfd), 'EINVAL', 'binding a memfd');
    t.fails(await bind(others.fd), 'EINVAL', 'binding the guest_memfd of another VM');
    await other.setMemoryRegion({ slot: SLOT, guestPhysAddr: GPA, size: SIZE, gmem: others });
    const gmem = await t.gmem(vm, { size: SIZE });
    for (let bit = 1; bit < PAGE_SIZE; bit *= 2) {
      for (const offset of new Set([bit - 1, bit, PAGE_SIZE - bit])) {
        if (offset > 0) t.fails(await bind(gmem.fd, offset), 'EINVAL', `binding it from byte ${offset} on`);
      }
    }
    t.succeeds(await bind(gmem.fd), 'binding it');
  },
});

const overlap = defineCase({
  name: 'set_memory_region_overlapping_private',
  about:
    'Two slots can share neither a part of the file nor guest addresses, whichever end overlaps ' +
    '(set_memory_region_test, test_add_overlapping_private_memory_regions).',
  requires: { vmType: 'private' },
  async run(t) {
    const vm = await t.vm();
    const gmem = await t.gmem(vm, { size: 5 * SIZE });
    const region = (slot: number, gpa: bigint, offset: number) => ({
      slot,
      flags: KVM_MEM_GUEST_MEMFD,
      guest_phys_addr: gpa,
      memory_size: 2 * SIZE,
      guest_memfd: gmem.fd,
      guest_memfd_offset: offset,
    });
    t.succeeds(await setRegion(t, vm, region(SLOT, GPA, 0)), 'the first slot');
    t.succeeds(await setRegion(t, vm, region(SLOT + 1, 2n * GPA, 2 * SIZE)), 'the second slot');
    t.succeeds(await deleteSlot(t, vm, SLOT), 'deleting the first');
    const twice = boundTwice(t.features);
    t.fails(await setRegion(t, vm, region(SLOT, GPA, SIZE)), twice, 'the front of what the second has of the file');
    t.fails(await setRegion(t, vm, region(SLOT, GPA, 3 * SIZE)), twice, 'the back of what the second has of the file');
    const before = 2n * GPA - BigInt(SIZE);
    t.fails(await setRegion(t, vm, region(SLOT, before, 0)), 'EEXIST', 'the front of the second’s guest addresses');
    const behind = 2n * GPA + BigInt(SIZE);
    t.fails(await setRegion(t, vm, region(SLOT, behind, 0)), 'EEXIST', 'the back of the second’s guest addresses');
    t.succeeds(await setRegion(t, vm, region(SLOT, GPA, 0)), 'the first slot again');
  },
});

export const cases: readonly AnyCase[] = [flags, add, overlap];
