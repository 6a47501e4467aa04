/** Races that need no conversion: holes, mappings, slots and files come and go while memory is in use. */

import {
  GUEST_MEMFD_FLAG_MMAP,
  GUEST_MEMFD_FLAG_SUPPORT_SHARED,
  KVM_MEM_GUEST_MEMFD,
  KVM_PRE_FAULT_MEMORY,
  PAGE_SIZE,
} from '../../abi/index.ts';
import type { GuestMemfd, Mapping, Vm } from '../../kvm/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { GuestMemory } from '../guest-memory.ts';
import { PATTERN } from '../pattern.ts';
import { Race, type Racer } from '../race.ts';
import { guestTouches } from '../race-guest.ts';
import { allocate, fileComesAndGoes, map, type Pages, punch, region, someRanges, touch } from '../race-steps.ts';
import type { Requires } from '../requires.ts';
import { GUEST_START, type State } from '../scenario.ts';

/** The first half is punched, the second is left alone. */
const ALL: Pages = { first: 0, count: 16 };
const PUNCHED: Pages = { first: 0, count: 8 };
const KEPT: Pages = { first: 8, count: 8 };
const SIZE = ALL.count * PAGE_SIZE;
const [FIRST, SECOND] = [0, 0x800];
const LENGTH = 96;
const SLOT = 3;

const NEEDS: Requires = { ...PATTERN, threads: true };

interface Memory {
  readonly vm: Vm;
  readonly gmem: GuestMemfd;
  readonly mapping: Mapping;
}

async function shared(t: T): Promise<Memory> {
  const vm = await t.vm();
  const gmem = await t.gmem(vm, { size: SIZE, mmap: true, initially: 'shared' });
  return { vm, gmem, mapping: await t.map(gmem) };
}

const slotOf = ({ gmem }: Pick<Memory, 'gmem'>) => ({
  slot: SLOT,
  flags: KVM_MEM_GUEST_MEMFD,
  guest_phys_addr: GUEST_START,
  memory_size: SIZE,
  guest_memfd: gmem.fd,
});

/** Threads that use both halves, and such that punch and allocate in one of them. */
function hostAgainstHoles({ random }: Race, { gmem, mapping }: Memory): Racer[] {
  const { address } = mapping;
  return [
    { name: 'host', program: touch(random, { address, pages: KEPT, at: FIRST, length: LENGTH }) },
    {
      name: 'host among holes',
      program: touch(random, { address, pages: PUNCHED, at: SECOND, length: LENGTH, zeroWillDo: true }),
    },
    { name: 'holes', program: someRanges(random, PUNCHED, 16).map((pages) => punch(gmem, pages)) },
    { name: 'allocations', program: someRanges(random, ALL, 16).map((pages) => allocate(gmem, pages)) },
  ];
}

/** What was written where nobody punched; the others may have lost theirs to a hole. */
const kept = <R>(results: readonly R[]): R[] => results.slice(0, 1);

const holes = defineCase({
  name: 'race_punch_against_host',
  about:
    'Holes are punched and pages allocated while threads use them: a page reads what was written or 0, and pages beside ' +
    'the holes lose nothing (kvm_gmem_punch_hole() against kvm_gmem_fault_user_mapping()).',
  requires: NEEDS,
  async run(t) {
    const memory = await shared(t);
    const race = new Race(t);
    await race.checkMemory(kept(await race.run(hostAgainstHoles(race, memory))), 'after the race');
  },
});

const mappings = defineCase({
  name: 'race_punch_against_mmap',
  about: 'The same while mappings of all pages come, are touched and go.',
  requires: NEEDS,
  async run(t) {
    const memory = await shared(t);
    const race = new Race(t);
    const program = someRanges(race.random, ALL, 16).map((pages) => map(memory.gmem, pages));
    const racers = [1, 2].map((n): Racer => ({ name: `mappings ${n}`, program }));
    await race.checkMemory(kept(await race.run([...hostAgainstHoles(race, memory), ...racers])), 'after the race');
  },
});

const slots = defineCase<boolean>({
  name: 'race_slots_against_holes',
  about:
    'A slot of the file is set and deleted, and files come and go in another, while holes are punched; a vCPU meets its ' +
    'memory, MMIO or KVM_EXIT_MEMORY_FAULT, and finds what it wrote (kvm_gmem_bind(), _unbind() and _release()).',
  requires: (withGuest) => (withGuest ? { ...NEEDS, guest: true } : NEEDS),
  variants: { host: false, guest: true },
  async run(t, withGuest) {
    const memory = await shared(t);
    const { vm } = memory;
    const race = new Race(t);
    const slot = { name: 'slot', program: [region(vm, slotOf(memory)), region(vm, { slot: SLOT })] };
    const flags = t.features.dialect === 'rfc-convert' ? GUEST_MEMFD_FLAG_SUPPORT_SHARED : GUEST_MEMFD_FLAG_MMAP;
    const behind = GUEST_START + 0x100_0000n;
    const files = { name: 'files', program: fileComesAndGoes(vm, SLOT + 1, behind, flags) };
    const vcpus = withGuest ? await vm.createGuest({ vcpus: 2 }) : undefined;
    if (vcpus) t.defer(() => vcpus.close());
    const guests = vcpus
      ? [
          guestTouches(t, race.random, vcpus, 0, { gpa: GUEST_START, pages: KEPT, at: SECOND, may: ['mmio'] }),
          guestTouches(t, race.random, vcpus, 1, {
            gpa: behind,
            pages: { first: 0, count: 1 },
            at: FIRST,
            may: ['mmio', 'memory-fault'],
            finds: 'anything',
          }),
        ]
      : [];
    const results = await race.run([...hostAgainstHoles(race, memory), slot, files], guests);
    await race.checkMemory(kept(results), 'after the race');
  },
});

const severalVms = defineCase({
  name: 'race_several_vms',
  about: 'Three VMs at once, each with holes, mappings and slots of its own, do not get into each other’s memory.',
  requires: NEEDS,
  async run(t) {
    const race = new Race(t);
    const all: Racer[] = [];
    for (let n = 1; n <= 3; n += 1) {
      const memory = await shared(t);
      const slot = [region(memory.vm, slotOf(memory)), region(memory.vm, { slot: SLOT })];
      const own = [...hostAgainstHoles(race, memory).slice(0, 3), { name: 'slot', program: slot }];
      all.push(...own.map((racer) => ({ ...racer, name: `VM ${n}, ${racer.name}` })));
    }
    const results = await race.run(all);
    await race.checkMemory(
      [0, 4, 8].map((at) => results[at]!),
      'after the race',
    );
  },
});

/**
 * Not of a default VM: when a slot of one goes, KVM gives up all its page tables (KVM_X86_QUIRK_SLOT_ZAP_ALL), and up to
 * 7.3.4 at least a pre-fault that began with the old ones tries again until a signal comes, with the deletion waiting for
 * it (kvm_tdp_page_prefault() does not reload a root that is_page_fault_stale() refuses).
 */
const preFault = defineCase<State>({
  name: 'race_pre_fault_against_slots',
  about:
    'Memory is pre-faulted while its slot is deleted and set again: it is done, or there is no slot (ENOENT; EFAULT where ' +
    'the gpa is private), or it is going at that moment (EAGAIN); with the slot back, all of it can be ' +
    '(pre_fault_memory_test, delete_slot_worker).',
  requires: {
    capability: 'KVM_CAP_PRE_FAULT_MEMORY',
    vmType: 'sw-protected',
    dialect: ['rfc-convert', 'attributes2', 'vm-attributes'],
    guest: true,
    threads: true,
  },
  variants: { shared: 'shared', private: 'private' },
  async run(t, state) {
    const memory = await GuestMemory.create(t, 1, { size: SIZE });
    const { vm, gmem, address } = memory;
    if (state === 'private') await memory.convert(0, SIZE, 'private');
    const vcpu = await vm.createVcpu();
    t.defer(() => vcpu.close());
    const { request, struct } = KVM_PRE_FAULT_MEMORY;
    const range = { gpa: GUEST_START, size: SIZE };
    const race = new Race(t);
    const slot = region(vm, { ...slotOf(memory), slot: 0, userspace_addr: address });
    await race.run([
      {
        name: 'pre-fault',
        program: [{ call: 'ioctl', fd: vcpu.fd, request, struct: struct.encode(range) }],
        may: ['EAGAIN', 'ENOENT', ...(state === 'private' ? (['EFAULT'] as const) : [])],
      },
      // An even number of steps leaves it as it was.
      { name: 'slot', program: [region(vm, { slot: 0 }), slot], may: ['EINVAL'] },
      { name: 'holes', program: someRanges(race.random, ALL, 16).map((pages) => punch(gmem, pages)) },
    ]);
    await vm.tryDeleteMemoryRegion(0);
    t.succeeds(await t.host.raw.tryIoctl(vm, slot.request, slot.struct), 'the slot once more');
    t.succeeds(await vcpu.tryPreFault(range), 'pre-faulting all of it');
  },
});

export const cases: readonly AnyCase[] = [holes, mappings, slots, severalVms, preFault];
