/** KVM_SET_USER_MEMORY_REGION2 for a new slot: every check of kvm_set_memory_region(), and which comes first. */

import {
  type ErrnoName,
  KVM_MEM_GUEST_MEMFD,
  KVM_MEM_LOG_DIRTY_PAGES,
  KVM_MEM_READONLY,
  KVM_SET_USER_MEMORY_REGION2,
  PAGE_SIZE,
} from '../../abi/index.ts';
import type { GuestMemfd, Vm } from '../../kvm/index.ts';
import { NO_FD } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { BAD_FD, checkBound, checkCovered, deleteSlot, type Region, setRegion } from '../region.ts';

const P = BigInt(PAGE_SIZE);
const GMEM = KVM_MEM_GUEST_MEMFD;
/** Where the slot lies that is there before. */
const TAKEN = 0x10_0000n;
const FREE = 0x20_0000n;
const ALL = 1n << 64n;
/** One page more than KVM_MEM_MAX_NR_PAGES, 2^31 - 1. */
const TOO_LARGE = P << 31n;
/** Beyond the 52 bits that a physical address can have: kvm_mmu_max_gfn(). */
const OUT_OF_REACH = 1n << 52n;

interface World {
  readonly vm: Vm;
  readonly gmem: GuestMemfd;
}

/** A VM with one slot, and a guest_memfd of four pages that is bound to none. */
async function createWorld(t: T): Promise<World> {
  const vm = await t.vm();
  await vm.setMemoryRegion({ slot: 0, guestPhysAddr: TAKEN, size: 4n * P });
  return { vm, gmem: await t.gmem(vm, { size: 4n * P }) };
}

interface Row {
  readonly region: Region | ((t: T) => Region);
  readonly code: ErrnoName;
}

async function isRefused(t: T, world: World, region: Region, code: ErrnoName): Promise<void> {
  const { vm, gmem } = world;
  t.fails(await setRegion(t, vm, region), code, 'setting the region');
  const what = 'after the refusal';
  t.fails(await deleteSlot(t, vm, 1), 'EINVAL', `${what}: deleting the slot that was refused`);
  await checkCovered(t, vm, FREE, false, what);
  await checkCovered(t, vm, TAKEN, true, what);
  await checkBound(t, vm, gmem, [false, false, false, false], what);
}

/**
 * Every row overlaps the slot that is there, or cannot be reached, and names no guest_memfd: without the check the
 * answer would be EEXIST or EBADF.
 */
const malformed = (region: Region): Row => ({
  region: { guest_phys_addr: TAKEN, memory_size: P, guest_memfd: BAD_FD, ...region },
  code: 'EINVAL',
});

const wellFormed = defineCase<Row>({
  name: 'memory-region-malformed',
  about:
    'Slot number, flags, alignment and arithmetic are checked (EINVAL) before the slots that are there are looked at ' +
    '(EEXIST) and before the guest_memfd is (EBADF): check_memory_region_flags(), kvm_set_memory_region().',
  variants: {
    'slot-one-too-many': {
      region: (t) => ({ slot: t.features.maxMemslots, guest_phys_addr: TAKEN, memory_size: P }),
      code: 'EINVAL',
    },
    'slot-65535': malformed({ slot: 0xffff }),
    'address-space-65535': malformed({ slot: 0xffff_0001 }),
    'unknown-flag-8': malformed({ flags: 1 << 3 }),
    'unknown-flag-bit-31': malformed({ flags: 0x8000_0000 }),
    'guest-memfd-and-an-unknown-flag': malformed({ flags: GMEM | (1 << 3) }),
    'guest-memfd-and-dirty-log': malformed({ flags: GMEM | KVM_MEM_LOG_DIRTY_PAGES }),
    'guest-memfd-and-readonly': malformed({ flags: GMEM | KVM_MEM_READONLY }),
    'guest-memfd-dirty-log-and-readonly': malformed({ flags: GMEM | KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY }),
    'size-misaligned': malformed({ memory_size: P + 1n }),
    'size-less-than-a-page': malformed({ memory_size: 512n }),
    'guest-address-misaligned': malformed({ guest_phys_addr: TAKEN + 512n }),
    'user-address-misaligned': malformed({ userspace_addr: 1n }),
    'user-address-of-the-kernel': malformed({ userspace_addr: 0xffff_8000_0000_0000n }),
    'user-address-and-size-reach-the-kernel': malformed({ userspace_addr: (1n << 56n) - P, memory_size: 2n * P }),
    'file-offset-misaligned': malformed({ flags: GMEM, guest_memfd_offset: 512n }),
    'file-offset-wraps': malformed({ flags: GMEM, memory_size: 2n * P, guest_memfd_offset: ALL - P }),
    'guest-address-wraps': malformed({ flags: GMEM, guest_phys_addr: ALL - P, memory_size: 2n * P }),
    'guest-address-ends-at-2-64': malformed({ flags: GMEM, guest_phys_addr: ALL - P }),
    'too-many-pages': malformed({ memory_size: TOO_LARGE }),
    'too-many-pages-of-a-file': malformed({ flags: GMEM, memory_size: TOO_LARGE }),
  },
  async run(t, { region, code }) {
    const world = await createWorld(t);
    await isRefused(t, world, { slot: 1, ...(typeof region === 'function' ? region(t) : region) }, code);
  },
});

const overlap = defineCase<readonly [guestPhysAddr: bigint, pages: bigint]>({
  name: 'memory-region-overlap',
  about:
    'Guest pages that another slot has are EEXIST, before the guest_memfd is looked at (EBADF): ' +
    'kvm_check_memslot_overlap().',
  variants: {
    'the-same': [TAKEN, 4n],
    'the-first-page': [TAKEN, 1n],
    'the-last-page': [TAKEN + 3n * P, 1n],
    'in-the-middle': [TAKEN + P, 2n],
    'from-before': [TAKEN - P, 2n],
    'past-the-end': [TAKEN + 3n * P, 2n],
    'all-around': [TAKEN - P, 6n],
  },
  async run(t, [guest_phys_addr, pages]) {
    const world = await createWorld(t);
    const region = { slot: 1, guest_phys_addr, memory_size: pages * P };
    await isRefused(t, world, region, 'EEXIST');
    await isRefused(t, world, { ...region, flags: GMEM, guest_memfd: BAD_FD }, 'EEXIST');
    await isRefused(t, world, { ...region, flags: GMEM, guest_memfd: world.gmem.fd }, 'EEXIST');
    await isRefused(t, world, { ...region, flags: GMEM, guest_memfd: world.vm.fd }, 'EEXIST');
  },
});

const neighbours = defineCase({
  name: 'memory-region-neighbours',
  about:
    'Slots that touch do not overlap; every slot number below the limit can be used (kvm_check_memslot_overlap()).',
  async run(t) {
    const { vm } = await createWorld(t);
    const last = t.features.maxMemslots - 1;
    t.succeeds(await setRegion(t, vm, { slot: 1, guest_phys_addr: TAKEN - P, memory_size: P }), 'a slot in front');
    t.succeeds(
      await setRegion(t, vm, { slot: last, guest_phys_addr: TAKEN + 4n * P, memory_size: P }),
      'a slot behind',
    );
    for (const gpa of [TAKEN - P, TAKEN + 4n * P]) await checkCovered(t, vm, gpa, true, 'then');
    for (const slot of [1, last]) t.succeeds(await deleteSlot(t, vm, slot), `deleting slot ${slot}`);
    for (const gpa of [TAKEN - P, TAKEN + 4n * P]) await checkCovered(t, vm, gpa, false, 'after that');
    await checkCovered(t, vm, TAKEN, true, 'the slot between them');
  },
});

const outOfReach = defineCase({
  name: 'memory-region-out-of-reach',
  about:
    'A guest address beyond what can be mapped is EINVAL, after the descriptor was looked at (EBADF): ' +
    'kvm_arch_prepare_memory_region().',
  async run(t) {
    const world = await createWorld(t);
    const region = { slot: 1, guest_phys_addr: OUT_OF_REACH, memory_size: P };
    await isRefused(t, world, region, 'EINVAL');
    await isRefused(t, world, { ...region, flags: GMEM, guest_memfd: NO_FD }, 'EBADF');
    await isRefused(t, world, { ...region, flags: GMEM, guest_memfd: world.gmem.fd }, 'EINVAL');
  },
});

const ignored = defineCase({
  name: 'memory-region-ignored-fields',
  about:
    'Without KVM_MEM_GUEST_MEMFD the descriptor and the offset mean nothing; padding never does; the struct is only ' +
    'read (kvm_set_memory_region()).',
  async run(t) {
    const { vm, gmem } = await createWorld(t);
    const padding = { pad1: BAD_FD, pad2: new Array<bigint>(14).fill(ALL - 1n) };
    const place = { slot: 1, guest_phys_addr: FREE, memory_size: P };
    const regions: readonly (readonly [what: string, region: Region])[] = [
      ['a plain slot', { ...place, guest_memfd: BAD_FD, guest_memfd_offset: ALL - 1n, ...padding }],
      ['a slot with a guest_memfd', { ...place, flags: GMEM, guest_memfd: gmem.fd, ...padding }],
    ];
    for (const [what, region] of regions) {
      const bytes = KVM_SET_USER_MEMORY_REGION2.struct.encode(region);
      const before = bytes.slice();
      t.succeeds(await t.host.raw.tryIoctl(vm, KVM_SET_USER_MEMORY_REGION2, bytes), what);
      t.equal(bytes, before, `the struct after ${what}`);
      t.succeeds(await deleteSlot(t, vm, 1), `deleting ${what}`);
    }
  },
});

const outOfMemory = defineCase({
  name: 'memory-region-without-memory',
  about:
    'Where no slot can be allocated the answer is ENOMEM, after EEXIST and before EBADF (kvm_set_memory_region()).',
  requires: { faults: true },
  async run(t) {
    const world = await createWorld(t);
    const region = { slot: 1, flags: GMEM, memory_size: P };
    t.mock.faults.failAllocation(1, 'memslot');
    const taken = { ...region, guest_phys_addr: TAKEN, guest_memfd: BAD_FD };
    t.fails(await setRegion(t, world.vm, taken), 'EEXIST', 'where a slot is, without memory');
    const free = { ...region, guest_phys_addr: FREE, guest_memfd: BAD_FD };
    t.fails(await setRegion(t, world.vm, free), 'ENOMEM', 'where none is, without memory');
    await isRefused(t, world, free, 'EBADF');
  },
});

export const cases: readonly AnyCase[] = [wellFormed, overlap, neighbours, outOfReach, ignored, outOfMemory];
