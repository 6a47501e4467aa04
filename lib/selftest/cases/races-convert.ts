/** Conversions while the pages are in use: by threads of the host, by vCPUs, by mappings that come and go. */

import { PAGE_SIZE } from '../../abi/index.ts';
import type { GuestMemfd, Mapping, Vm } from '../../kvm/index.ts';
import { anonymous } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { CONVERTS_PLAIN } from '../conversion.ts';
import { Race, type Racer } from '../race.ts';
import { guestTouches } from '../race-guest.ts';
import { convert, map, type Pages, punch, setAttributes, somePages, someRanges, touch } from '../race-steps.ts';
import type { Requires } from '../requires.ts';
import { GUEST_START } from '../scenario.ts';

const ALL: Pages = { first: 0, count: 16 };
const SIZE = ALL.count * PAGE_SIZE;
/** Where on each page the racers have their bytes. */
const [FIRST, SECOND, THIRD] = [0, 0x400, 0x800];
const LENGTH = 96;
const RETRY = { retry: { attempts: 1000, delayMs: 1 } };

interface Memory {
  readonly vm: Vm;
  readonly gmem: GuestMemfd;
  readonly mapping: Mapping;
}

async function shared(t: T): Promise<Memory> {
  const vm = await t.vm();
  const gmem = await t.gmem(vm, { size: SIZE, mmap: true, initially: 'shared' });
  const mapping = await t.map(gmem);
  await vm.setMemoryRegion({ slot: 0, guestPhysAddr: GUEST_START, size: SIZE, gmem, userspaceAddr: mapping });
  return { vm, gmem, mapping };
}

/** Two threads of the host that use all pages, and two that convert them. */
function hostAgainstConversions(t: T, { random }: Race, { gmem, mapping }: Memory): Racer[] {
  const { address } = mapping;
  const uses = (name: string, at: number): Racer => ({
    name,
    program: touch(random, { address, pages: ALL, at, length: LENGTH }),
    may: ['EFAULT', 'PARTLY'],
  });
  const converts = (to: 'private' | 'shared'): Racer => ({
    name: `to ${to}`,
    program: [...somePages(random, ALL, 24), ...someRanges(random, ALL, 8)].map((pages) => convert(t, gmem, pages, to)),
    may: to === 'private' ? ['EAGAIN'] : [],
    file: gmem,
  });
  return [uses('host 1', FIRST), uses('host 2', SECOND), converts('private'), converts('shared')];
}

/** All of it can still be converted, and holds what was written. */
async function settle(t: T, race: Race, { gmem, mapping }: Memory, results: Awaited<ReturnType<Race['run']>>) {
  const all = { offset: 0, size: SIZE };
  t.succeeds(await gmem.tryConvert({ ...all, to: 'shared' }, RETRY), 'converting all to shared');
  await race.checkMemory(results, 'after the race');
  t.succeeds(await gmem.tryConvert({ ...all, to: 'private' }, RETRY), 'converting all to private');
  for (let page = 0; page < ALL.count; page += 1) {
    t.fails(await mapping.tryRead(page * PAGE_SIZE, 1), 'EFAULT', `the host reads private page ${page}`);
  }
}

const host = defineCase({
  name: 'race_convert_against_host',
  about:
    'Pages are converted there and back while two threads use them: a page is all there or EFAULT, none loses a byte, and ' +
    'to-private alone may be EAGAIN, naming a page of the file (kvm_gmem_fault() against the conversion).',
  requires: { ...CONVERTS_PLAIN, threads: true },
  async run(t) {
    const memory = await shared(t);
    const race = new Race(t);
    await settle(t, race, memory, await race.run(hostAgainstConversions(t, race, memory)));
  },
});

const guest = defineCase({
  name: 'race_convert_against_guest',
  about:
    'As with the host alone, while two vCPUs use the same pages too: a vCPU that meets a conversion may exit with ' +
    'KVM_EXIT_MEMORY_FAULT, goes on, and finds what it wrote.',
  requires: { ...CONVERTS_PLAIN, threads: true, guest: true },
  async run(t) {
    const memory = await shared(t);
    const race = new Race(t);
    const vcpus = await memory.vm.createGuest({ vcpus: 2 });
    t.defer(() => vcpus.close());
    const guests = [0, 1].map((vcpu) => {
      const cells = { gpa: GUEST_START, pages: ALL, at: THIRD + vcpu * 64, may: ['memory-fault'] } as const;
      return guestTouches(t, race.random, vcpus, vcpu, cells);
    });
    await settle(t, race, memory, await race.run(hostAgainstConversions(t, race, memory), guests));
  },
});

const mappings = defineCase({
  name: 'race_convert_against_mmap',
  about:
    'Mappings come, are touched and go while their pages are converted; a mapping that stays finds everything there ' +
    '(unmap_mapping_range() against mmap and munmap).',
  requires: { ...CONVERTS_PLAIN, threads: true },
  async run(t) {
    const memory = await shared(t);
    const race = new Race(t);
    const maps = someRanges(race.random, ALL, 16).map((pages) => map(memory.gmem, pages));
    const racers: Racer[] = [0, 1].map((n) => ({ name: `mappings ${n + 1}`, program: maps, may: ['PARTLY'] }));
    const results = await race.run([...hostAgainstConversions(t, race, memory), ...racers]);
    await settle(t, race, memory, results);
  },
});

const STOCK: Requires = { dialect: ['vm-attributes'], vmType: 'sw-protected', threads: true };

const attributes = defineCase<boolean>({
  name: 'race_attributes_against_holes',
  about:
    'With attributes of the VM the host’s own memory keeps every byte, whatever is converted and punched meanwhile, and ' +
    'vCPUs go on (kvm_vm_set_mem_attributes() against kvm_gmem_punch_hole()).',
  requires: (withGuest) => (withGuest ? { ...STOCK, guest: true } : STOCK),
  variants: { host: false, guest: true },
  async run(t, withGuest) {
    const vm = await t.vm();
    const gmem = await t.gmem(vm, { size: SIZE });
    const address = await anonymous(t, SIZE);
    await vm.setMemoryRegion({ slot: 0, guestPhysAddr: GUEST_START, size: SIZE, gmem, userspaceAddr: address });
    const race = new Race(t);
    const { random } = race;
    const sets = (to: 'private' | 'shared'): Racer => ({
      name: `to ${to}`,
      program: someRanges(random, ALL, 32).map((pages) => setAttributes(vm, GUEST_START, pages, to)),
    });
    const racers: Racer[] = [
      { name: 'host', program: touch(random, { address, pages: ALL, at: FIRST, length: LENGTH }) },
      sets('private'),
      sets('shared'),
      { name: 'holes', program: someRanges(random, ALL, 16).map((pages) => punch(gmem, pages)) },
    ];
    const vcpus = withGuest ? await vm.createGuest({ vcpus: 2 }) : undefined;
    if (vcpus) t.defer(() => vcpus.close());
    const cells = { gpa: GUEST_START, pages: ALL, may: ['memory-fault'], finds: 'anything' } as const;
    const guests = vcpus ? [0, 1].map((n) => guestTouches(t, random, vcpus, n, { ...cells, at: THIRD + n * 64 })) : [];
    await race.checkMemory(await race.run(racers, guests), 'after the race');
  },
});

export const cases: readonly AnyCase[] = [host, guest, mappings, attributes];
