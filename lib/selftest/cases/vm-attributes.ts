/** Released kernels: which pages are private is the VM's to know, and private memory is other memory. */

import { errno, PAGE_SIZE } from '../../abi/index.ts';
import type { VmType } from '../../kvm/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import type { State } from '../conversion.ts';
import { DATA_SIZE, GuestMemory } from '../guest-memory.ts';
import type { Requires } from '../requires.ts';
import { GUEST_START } from '../scenario.ts';

const REQUIRES: Requires = { dialect: ['vm-attributes'], vmType: 'sw-protected' };
const GUEST: Requires = { ...REQUIRES, guest: true };
const HALF = DATA_SIZE - PAGE_SIZE;

const dualBacking = defineCase({
  name: 'vm-attributes-two-memories',
  about:
    'The guest finds the guest_memfd where a page is private and the memory at userspace_addr where it is shared; each ' +
    'keeps its contents meanwhile, and the host always sees its own (kvm_mmu_faultin_pfn(), 7.3).',
  requires: GUEST,
  async run(t) {
    const m = await GuestMemory.create(t, 1);
    await m.hostWrites(0, DATA_SIZE, 0x10);
    await m.guestFinds(0, DATA_SIZE, 0x10);
    await m.convert(PAGE_SIZE, PAGE_SIZE, 'private');
    await m.guestFinds(PAGE_SIZE, PAGE_SIZE, 0);
    await m.guestFinds(0, PAGE_SIZE, 0x10);
    await m.guestFinds(2 * PAGE_SIZE, PAGE_SIZE, 0x10);
    await m.guestWrites(PAGE_SIZE, PAGE_SIZE, 0x20);
    await m.hostFinds(0, DATA_SIZE, 0x10);
    await m.hostWrites(PAGE_SIZE, PAGE_SIZE, 0x30);
    await m.guestFinds(PAGE_SIZE, PAGE_SIZE, 0x20);
    await m.convert(PAGE_SIZE, PAGE_SIZE, 'shared');
    await m.guestFinds(PAGE_SIZE, PAGE_SIZE, 0x30);
    await m.convert(0, 3 * PAGE_SIZE, 'private');
    await m.guestFinds(PAGE_SIZE, PAGE_SIZE, 0x20);
    await m.guestFinds(0, PAGE_SIZE, 0);
    await m.convert(0, 3 * PAGE_SIZE, 'private');
    await m.guestFinds(PAGE_SIZE, PAGE_SIZE, 0x20);
  },
});

const punch = defineCase({
  name: 'vm-attributes-punch-hole',
  about: 'A hole is punched in private memory alone, and changes no attribute (kvm_gmem_punch_hole(), 7.3).',
  requires: GUEST,
  async run(t) {
    const m = await GuestMemory.create(t, 1);
    await m.hostWrites(0, 2 * PAGE_SIZE, 0x10);
    await m.convert(0, 2 * PAGE_SIZE, 'private');
    await m.guestWrites(0, 2 * PAGE_SIZE, 0x20);
    await m.punch(0, PAGE_SIZE);
    await m.guestFinds(0, PAGE_SIZE, 0);
    await m.guestFinds(PAGE_SIZE, PAGE_SIZE, 0x20);
    await m.hostFinds(0, 2 * PAGE_SIZE, 0x10);
    await m.convert(0, 2 * PAGE_SIZE, 'shared');
    await m.guestFinds(0, 2 * PAGE_SIZE, 0x10);
  },
});

const severalSlots = defineCase({
  name: 'vm-attributes-convert-across-slots',
  about: 'gmem.convert() reaches every slot that shows a part of the range, and exactly that part.',
  requires: GUEST,
  async run(t) {
    const m = await GuestMemory.create(t, 3);
    await m.hostWrites(0, DATA_SIZE, 0x10);
    await m.convert(PAGE_SIZE, HALF - PAGE_SIZE, 'private');
    await m.guestFinds(0, PAGE_SIZE, 0x10);
    await m.guestFinds(PAGE_SIZE, HALF - PAGE_SIZE, 0);
    await m.guestFinds(HALF, PAGE_SIZE, 0x10);
    await m.convert(0, DATA_SIZE, 'shared');
    await m.guestFinds(0, DATA_SIZE, 0x10);
  },
});

const unbound = defineCase({
  name: 'vm-attributes-convert-unbound-memory',
  about: 'What no slot shows has no guest addresses to convert: gmem.convert() says so, and converts no other part.',
  requires: REQUIRES,
  async run(t) {
    const m = await GuestMemory.create(t, 3);
    await m.vm.deleteMemoryRegion(1);
    const all = { offset: 0, size: DATA_SIZE, to: 'private' } as const;
    await t.throws(() => m.gmem.tryConvert(all), 'ERR_OUT_OF_RANGE', 'converting with a part unbound');
    t.succeeds(await m.gmem.tryConvert({ ...all, size: PAGE_SIZE }), 'converting a part that is bound');
    if (!t.features.guest.available) return;
    await m.guestFinds(0, PAGE_SIZE, 0);
    await m.hostWrites(PAGE_SIZE, PAGE_SIZE, 0x10);
    await m.guestFinds(PAGE_SIZE, PAGE_SIZE, 0x10);
  },
});

const withoutSlot = defineCase({
  name: 'vm-attributes-outlive-slots',
  about:
    'Attributes belong to guest addresses: they may be set where no slot is and stay when a slot goes, so that a private ' +
    'access there exits with KVM_EXIT_MEMORY_FAULT, flags 8 (private_mem_kvm_exits_test).',
  requires: GUEST,
  async run(t) {
    const m = await GuestMemory.create(t, 1);
    await m.convert(0, PAGE_SIZE, 'private');
    await m.guestWrites(0, PAGE_SIZE, 0x20);
    await m.vm.deleteMemoryRegion(0);
    await exits(t, m, 0, 8n);
    const mmio = { ok: false, exit: { reason: 'mmio', gpa: GUEST_START + BigInt(PAGE_SIZE), write: false } };
    t.equal<unknown>(await t.guest(m.vm).read(GUEST_START + BigInt(PAGE_SIZE), 8), mmio, 'a shared page without slot');
    await m.bind();
    await m.guestFinds(0, PAGE_SIZE, 0x20);
  },
});

async function exits(t: T, m: GuestMemory, offset: number, flags: bigint, access?: State): Promise<void> {
  const gpa = GUEST_START + BigInt(offset);
  const exit = { reason: 'memory-fault', errno: -errno.EFAULT, flags, gpa, size: BigInt(PAGE_SIZE) };
  const guest = t.guest(m.vm);
  t.equal<unknown>(
    await guest.read(gpa + 8n, 8, access),
    { ok: false, exit },
    `the guest reads at 0x${gpa.toString(16)}`,
  );
  const wrote = await guest.write(gpa + 8n, Uint8Array.of(1), access);
  t.equal<unknown>(wrote, { ok: false, exit }, `the guest writes at 0x${gpa.toString(16)}`);
}

const privateBit = defineCase<VmType>({
  name: 'vm-attributes-guest-with-a-private-bit',
  about:
    'A guest that says private or shared exits with KVM_EXIT_MEMORY_FAULT where the attributes say the other, also when ' +
    'it had the page mapped before they changed (kvm_mmu_faultin_pfn(), kvm_handle_gfn_range()).',
  requires: (vmType) => ({ ...GUEST, vmType }),
  variants: { snp: 'snp', tdx: 'tdx' },
  async run(t) {
    const m = await GuestMemory.create(t, 1);
    const guest = t.guest(m.vm);
    for (const [to, from] of [
      ['private', 'shared'],
      ['shared', 'private'],
      ['private', 'shared'],
    ] as const) {
      t.equal((await guest.write(GUEST_START, Uint8Array.of(1), from)).ok, true, `${from} access before`);
      await m.convert(0, PAGE_SIZE, to);
      await exits(t, m, 0, from === 'private' ? 8n : 0n, from);
      t.equal((await guest.read(GUEST_START, 1, to)).ok, true, `${to} access after`);
      t.equal((await guest.read(GUEST_START + BigInt(PAGE_SIZE), 1, 'shared')).ok, true, 'the page beside it');
    }
  },
});

const plainVm = defineCase({
  name: 'vm-attributes-convert-on-a-default-vm',
  about: 'A VM without private memory converts nothing: gmem.convert() is EINVAL (kvm_supported_mem_attributes()).',
  requires: { dialect: ['vm-attributes'] },
  async run(t) {
    const m = await GuestMemory.create(t, 1);
    const range = { offset: 0, size: PAGE_SIZE, to: 'private' } as const;
    t.fails(await m.gmem.tryConvert(range), 'EINVAL', 'converting to private');
    t.ok(!t.features.convertible.includes('default'), 'features.convertible does not list the type');
  },
});

const noMemory = defineCase({
  name: 'vm-attributes-convert-without-memory',
  about:
    'ENOMEM in one of several slots leaves that and the later ones as they were, and the error says how far it came; ' +
    'what is as wanted allocates nothing (kvm_vm_set_mem_attributes()).',
  requires: { ...GUEST, faults: true },
  async run(t) {
    const m = await GuestMemory.create(t, 3);
    await m.hostWrites(0, DATA_SIZE, 0x10);
    const range = { offset: 0, size: DATA_SIZE } as const;
    t.mock.faults.failAllocation(2, 'tree-node');
    t.succeeds(await m.gmem.tryConvert({ ...range, to: 'shared' }), 'what is shared to shared');
    const { error } = t.fails(await m.gmem.tryConvert({ ...range, to: 'private' }), 'ENOMEM', 'to private');
    const third = 171 * PAGE_SIZE;
    t.equal(error.completed, third, 'bytes converted before');
    await m.guestFinds(0, third, 0);
    await m.guestFinds(third, DATA_SIZE - third, 0x10);
    t.succeeds(await m.gmem.tryConvert({ ...range, to: 'private' }), 'to private again');
    await m.guestFinds(0, DATA_SIZE, 0);
  },
});

export const cases: readonly AnyCase[] = [
  dualBacking,
  punch,
  severalSlots,
  unbound,
  withoutSlot,
  privateBit,
  plainVm,
  noMemory,
];
