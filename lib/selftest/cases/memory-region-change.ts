/** KVM_SET_USER_MEMORY_REGION2 for a slot that is there: deleting it, and what may be changed of it. */

import {
  type ErrnoName,
  KVM_MEM_GUEST_MEMFD,
  KVM_MEM_LOG_DIRTY_PAGES,
  KVM_MEM_READONLY,
  PAGE_SIZE,
} from '../../abi/index.ts';
import type { GuestMemfd, Vm } from '../../kvm/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { BAD_FD, checkBound, checkCovered, deleteSlot, type Region, setRegion, setRegionV1 } from '../region.ts';

const P = BigInt(PAGE_SIZE);
const GMEM = KVM_MEM_GUEST_MEMFD;
const ALL = 1n << 64n;
const PLAIN = 0x10_0000n;
const BACKED = 0x20_0000n;
const FREE = 0x30_0000n;
const USER = 0x1000_0000n;

/** Slot 1 is plain, slot 2 has the first two pages of a guest_memfd. */
interface World {
  readonly vm: Vm;
  readonly gmem: GuestMemfd;
  readonly plain: Region;
  readonly backed: Region;
}

async function createWorld(t: T): Promise<World> {
  const vm = await t.vm();
  const gmem = await t.gmem(vm, { size: 4n * P });
  const plain = { slot: 1, guest_phys_addr: PLAIN, memory_size: 2n * P, userspace_addr: USER };
  const backed = { slot: 2, flags: GMEM, guest_phys_addr: BACKED, memory_size: 2n * P, guest_memfd: gmem.fd };
  t.succeeds(await setRegion(t, vm, plain), 'a plain slot');
  t.succeeds(await setRegion(t, vm, backed), 'a slot with a guest_memfd');
  return { vm, gmem, plain, backed };
}

async function isUnchanged(t: T, { vm, gmem }: World, what: string): Promise<void> {
  for (const gpa of [PLAIN, PLAIN + P, BACKED, BACKED + P]) await checkCovered(t, vm, gpa, true, what);
  for (const gpa of [PLAIN - P, PLAIN + 2n * P, BACKED - P, BACKED + 2n * P, FREE]) {
    await checkCovered(t, vm, gpa, false, what);
  }
  await checkBound(t, vm, gmem, [true, true, false, false], what);
}

const deletes = defineCase<Region>({
  name: 'memory-region-delete',
  about:
    'A size of 0 deletes the slot and frees its guest pages and its pages of the file; of what else is given only ' +
    'flags, alignment and arithmetic are checked (kvm_set_memory_region()).',
  variants: {
    'with-nothing-else': {},
    'at-another-place': { guest_phys_addr: FREE, userspace_addr: USER },
    'where-another-slot-is': { guest_phys_addr: PLAIN },
    'with-the-flag-and-no-file': { flags: GMEM, guest_memfd: BAD_FD },
    'with-an-offset-past-the-end': { flags: GMEM, guest_memfd_offset: 100n * P },
    'with-other-flags': { flags: KVM_MEM_READONLY | KVM_MEM_LOG_DIRTY_PAGES },
    'at-the-last-page': { guest_phys_addr: ALL - P },
  },
  async run(t, fields) {
    const { vm, gmem } = await createWorld(t);
    t.succeeds(await setRegion(t, vm, { slot: 2, ...fields }), 'deleting');
    for (const gpa of [BACKED, BACKED + P]) await checkCovered(t, vm, gpa, false, 'then');
    await checkBound(t, vm, gmem, [false, false, false, false], 'then');
    await checkCovered(t, vm, PLAIN, true, 'the other slot');
    t.fails(await setRegion(t, vm, { slot: 2, ...fields }), 'EINVAL', 'deleting once more');
  },
});

const deleteRefused = defineCase<Region>({
  name: 'memory-region-delete-refused',
  about:
    'What is malformed is EINVAL for a size of 0 too, and so is a slot that is not there; nothing is deleted ' +
    '(check_memory_region_flags(), kvm_set_memory_region()).',
  variants: {
    'no-such-slot': { slot: 3 },
    'no-such-slot-with-the-flag': { slot: 3, flags: GMEM, guest_memfd: BAD_FD },
    'slot-past-the-limit': { slot: 0xffff },
    'of-another-address-space': { slot: 0xffff_0002 },
    'unknown-flag': { flags: 1 << 3 },
    'guest-memfd-and-dirty-log': { flags: GMEM | KVM_MEM_LOG_DIRTY_PAGES },
    'guest-memfd-and-readonly': { flags: GMEM | KVM_MEM_READONLY },
    'guest-address-misaligned': { guest_phys_addr: 1n },
    'user-address-misaligned': { userspace_addr: 512n },
    'user-address-of-the-kernel': { userspace_addr: 0xffff_8000_0000_0000n },
    'file-offset-misaligned': { flags: GMEM, guest_memfd_offset: 512n },
  },
  async run(t, fields) {
    const world = await createWorld(t);
    t.fails(await setRegion(t, world.vm, { slot: 2, ...fields }), 'EINVAL', 'deleting');
    await isUnchanged(t, world, 'afterwards');
  },
});

interface Change {
  readonly of: 'plain' | 'backed';
  readonly to: Region;
  readonly code: ErrnoName;
  /** Through KVM_SET_USER_MEMORY_REGION. */
  readonly v1?: true;
}

const DIRTY = KVM_MEM_LOG_DIRTY_PAGES;
const keep = (to: Region): Change => ({ of: 'backed', to, code: 'EINVAL' });
const plain = (to: Region, code: ErrnoName = 'EINVAL'): Change => ({ of: 'plain', to, code });

const changeRefused = defineCase<Change>({
  name: 'memory-region-change-refused',
  about:
    'A slot with a guest_memfd can only be deleted (EINVAL, before EEXIST and EBADF); of a plain slot neither size, ' +
    'user address nor KVM_MEM_READONLY can change (EINVAL, before EEXIST): kvm_set_memory_region().',
  variants: {
    'guest-memfd-the-same-again': keep({}),
    'guest-memfd-moved': keep({ guest_phys_addr: FREE }),
    'guest-memfd-moved-onto-another': keep({ guest_phys_addr: PLAIN }),
    'guest-memfd-smaller': keep({ memory_size: P }),
    'guest-memfd-other-pages': keep({ guest_memfd_offset: 2n * P }),
    'guest-memfd-other-file': keep({ guest_memfd: BAD_FD }),
    'guest-memfd-without-the-flag': keep({ flags: 0 }),
    'guest-memfd-without-the-flag-v1': { ...keep({ flags: 0 }), v1: true },
    'guest-memfd-with-dirty-log': keep({ flags: DIRTY }),
    'guest-memfd-without-the-flag-moved': keep({ flags: 0, guest_phys_addr: PLAIN }),
    'plain-with-a-guest-memfd': plain({ flags: GMEM, guest_memfd: BAD_FD }),
    'plain-with-a-guest-memfd-onto-another': plain({ flags: GMEM, guest_memfd: BAD_FD, guest_phys_addr: BACKED }),
    'plain-readonly': plain({ flags: KVM_MEM_READONLY }),
    'plain-readonly-onto-another': plain({ flags: KVM_MEM_READONLY, guest_phys_addr: BACKED }),
    'plain-smaller': plain({ memory_size: P }),
    'plain-larger-onto-another': plain({ memory_size: 4n * P, guest_phys_addr: BACKED }),
    'plain-other-user-address': plain({ userspace_addr: USER + P }),
    'plain-other-user-address-onto-another': plain({ userspace_addr: 0n, guest_phys_addr: BACKED }),
    'plain-onto-another': plain({ guest_phys_addr: BACKED + P }, 'EEXIST'),
    'plain-onto-another-in-part': plain({ guest_phys_addr: BACKED - P }, 'EEXIST'),
    'plain-out-of-reach': plain({ guest_phys_addr: 1n << 52n }),
  },
  async run(t, { of, to, code, v1 }) {
    const world = await createWorld(t);
    const region = { ...world[of], ...to };
    const { slot, flags, guest_phys_addr, memory_size, userspace_addr } = { flags: 0, userspace_addr: 0n, ...region };
    const short = { slot, flags, guest_phys_addr, memory_size, userspace_addr } as Region;
    const answer = v1 ? await setRegionV1(t, world.vm, short) : await setRegion(t, world.vm, region);
    t.fails(answer, code, 'changing the slot');
    await isUnchanged(t, world, 'afterwards');
  },
});

const changes = defineCase({
  name: 'memory-region-change',
  about:
    'A plain slot can be set as it is (nothing happens), moved, onto its own place in part too, and have its dirty ' +
    'log turned on and off (kvm_set_memory_region(), KVM_MR_MOVE and KVM_MR_FLAGS_ONLY).',
  async run(t) {
    const world = await createWorld(t);
    const { vm } = world;
    t.succeeds(await setRegion(t, vm, world.plain), 'the same again');
    t.succeeds(await setRegion(t, vm, { ...world.plain, flags: DIRTY }), 'dirty log on');
    t.succeeds(await setRegion(t, vm, { ...world.plain, flags: DIRTY }), 'dirty log on, again');
    t.succeeds(await setRegion(t, vm, world.plain), 'dirty log off');
    await isUnchanged(t, world, 'so far');
    for (const gpa of [PLAIN + P, FREE, BACKED + 2n * P, PLAIN]) {
      const what = `moved to 0x${gpa.toString(16)}`;
      t.succeeds(await setRegion(t, vm, { ...world.plain, guest_phys_addr: gpa }), what);
      for (const page of [gpa, gpa + P]) await checkCovered(t, vm, page, true, what);
      if (gpa !== PLAIN) await checkCovered(t, vm, PLAIN, false, what);
    }
    await isUnchanged(t, world, 'back in its place');
  },
});

const again = defineCase({
  name: 'memory-region-again',
  about: 'A slot that was deleted is free for anything: plain, or with a guest_memfd, of any size and anywhere.',
  async run(t) {
    const { vm, gmem, backed, plain: first } = await createWorld(t);
    for (const slot of [1, 2]) t.succeeds(await deleteSlot(t, vm, slot), `deleting slot ${slot}`);
    t.succeeds(await setRegion(t, vm, { ...backed, slot: 1, memory_size: 4n * P }), 'the file in the plain slot');
    t.succeeds(await setRegion(t, vm, { ...first, slot: 2, flags: KVM_MEM_READONLY }), 'plain where the file was');
    await checkBound(t, vm, gmem, [true, true, true, true], 'then');
    t.succeeds(await deleteSlot(t, vm, 1), 'deleting again');
    t.succeeds(await setRegion(t, vm, { ...backed, guest_phys_addr: FREE, slot: 7 }), 'the file at another place');
    await checkBound(t, vm, gmem, [true, true, false, false], 'then');
  },
});

export const cases: readonly AnyCase[] = [deletes, deleteRefused, changes, changeRefused, again];
