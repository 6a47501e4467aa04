/** What the guest meets after a conversion: its memory, or a memory fault exit. */

import { errno, PAGE_SIZE } from '../../abi/index.ts';
import type { VmType } from '../../kvm/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { CONVERTS, CONVERTS_PLAIN, type State } from '../conversion.ts';
import type { Guest } from '../guest.ts';
import { Scenario } from '../scenario.ts';
import { SlottedFile } from '../slotted-file.ts';

const PRIVATE_FLAG = 8n;
/** Four pages of the file, which neither begin it nor stand where its offsets would put them. */
const SLOT = { slot: 0, first: 2, count: 4, at: 0x10 };
const PAGES = 8;

/** KVM_EXIT_MEMORY_FAULT: KVM_RUN fails with EFAULT, and the exit says which page was accessed how. */
const fault = (gpa: bigint, access: State) => ({
  ok: false,
  exit: {
    reason: 'memory-fault',
    errno: -errno.EFAULT,
    flags: access === 'private' ? PRIVATE_FLAG : 0n,
    gpa: gpa - (gpa % BigInt(PAGE_SIZE)),
    size: BigInt(PAGE_SIZE),
  },
});

/** Guests of these types say themselves what they take a page for. */
const hasPrivateBit = (type: VmType): boolean => type === 'snp' || type === 'tdx';

async function works(t: T, guest: Guest, gpa: bigint, access: State | undefined, what: string): Promise<void> {
  t.equal((await guest.read(gpa, 1, access)).ok, true, `${what}: read`);
  t.equal((await guest.write(gpa, Uint8Array.of(1), access)).ok, true, `${what}: write`);
}

async function faults(t: T, guest: Guest, gpa: bigint, access: State, bit: boolean, what: string): Promise<void> {
  const said = bit ? access : undefined;
  t.equal<unknown>(await guest.read(gpa, 1, said), fault(gpa, access), `${what}: read`);
  t.equal<unknown>(await guest.write(gpa, Uint8Array.of(1), said), fault(gpa, access), `${what}: write`);
}

const neverFaults = defineCase({
  name: 'convert-guest-never-faults',
  about:
    'A KVM_X86_SW_PROTECTED_VM guest takes a page for what it is, so it meets no fault after a conversion, whoever ' +
    'touched the page before (kvm_mmu_page_fault(): PFERR_PRIVATE_ACCESS from the state).',
  requires: { ...CONVERTS_PLAIN, guest: true },
  async run(t) {
    const s = await Scenario.create(t, { pages: 4, type: 'sw-protected' });
    for (let round = 0; round < 4; round += 1) {
      for (let page = 0; page < 4; page += 1) {
        await s.convert(round % 2 === 0 ? 'private' : 'shared', page, 1);
        const read = await s.guest.read(s.gpa(0), 4 * PAGE_SIZE);
        t.equal(read.ok, true, `round ${round}, page ${page}: the guest reads all pages`);
        if (read.ok) t.equal(read.bytes[page * PAGE_SIZE], round, `round ${round}: what is on page ${page}`);
        const wrote = await s.guest.write(s.gpa(page), Uint8Array.of(round + 1));
        t.equal(wrote.ok, true, `round ${round}: the guest writes page ${page}`);
      }
    }
  },
});

const plainVm = defineCase({
  name: 'convert-guest-of-a-default-vm-faults',
  about:
    'RFC v2 converts for KVM_X86_DEFAULT_VM too, whose guest knows shared accesses alone: any access to a private page ' +
    'exits with KVM_EXIT_MEMORY_FAULT, flags 0 (kvm_mmu_faultin_pfn(); patch 06).',
  requires: { ...CONVERTS, dialect: ['rfc-convert'], vmType: 'default', guest: true },
  async run(t) {
    const s = await SlottedFile.create(t, PAGES, [SLOT]);
    const guest = t.guest(s.vm);
    const { first, at } = SLOT;
    for (let i = 0; i < 4; i += 1) await s.guestUses(at + i, first + i + 1, i + 0x11);
    await s.convert(first + 1, 2, 'private');
    for (const i of [1, 2]) await faults(t, guest, s.gpa(at + i) + 0x123n, 'shared', false, `private page ${i}`);
    await s.guestUses(at, 0x11);
    await s.guestUses(at + 3, 0x14);
    const across = await guest.read(s.gpa(at + 1) - 4n, 8);
    t.equal<unknown>(across, fault(s.gpa(at + 1), 'shared'), 'a read that runs into a private page');
    await s.convert(0, PAGES, 'shared');
    for (let i = 0; i < 4; i += 1) await s.guestUses(at + i, i + 0x11);
  },
});

const plainVmPrivateFile = defineCase<State>({
  name: 'convert-guest-of-a-default-vm-in-place',
  about:
    'With attributes2 the file of a KVM_X86_DEFAULT_VM is what it was created as: private, every access exits with ' +
    'flags 0 and no conversion is offered; shared, all works (v13: has_private_mem is false; seen on 7.3.4 with v13).',
  requires: {
    dialect: ['attributes2'],
    vmType: 'default',
    flags: ['mmap', 'init-shared', 'init-private'],
    guest: true,
  },
  variants: { private: 'private', shared: 'shared' },
  async run(t, initially) {
    const vm = await t.vm();
    const gmem = await t.gmem(vm, { size: PAGE_SIZE, mmap: true, initially });
    const gpa = 0x1_0000_0000n;
    await vm.setMemoryRegion({ slot: 0, guestPhysAddr: gpa, size: PAGE_SIZE, gmem, userspaceAddr: 0n });
    const guest = t.guest(vm);
    for (let times = 0; times < 2; times += 1) {
      if (initially === 'private') await faults(t, guest, gpa + 8n, 'shared', false, 'the only page');
      else await works(t, guest, gpa, undefined, 'the only page');
      for (const to of ['private', 'shared'] as const) {
        t.fails(await gmem.tryConvert({ offset: 0, size: PAGE_SIZE, to }), 'EINVAL', `converting to ${to}`);
      }
    }
  },
});

const privateBit = defineCase<{ readonly vmType: VmType; readonly userspace: boolean }>({
  name: 'convert-guest-with-a-private-bit',
  about:
    'A guest that says private or shared exits with KVM_EXIT_MEMORY_FAULT when the page is the other, its flags those ' +
    'of the access; what it had mapped before a conversion is gone (kvm_mmu_faultin_pfn(); kvm_gmem_invalidate_start()).',
  requires: ({ vmType }) => ({ ...CONVERTS, vmType, guest: true }),
  variants: {
    snp: { vmType: 'snp', userspace: true },
    'snp-userspace-addr-0': { vmType: 'snp', userspace: false },
    tdx: { vmType: 'tdx', userspace: true },
    'tdx-userspace-addr-0': { vmType: 'tdx', userspace: false },
  },
  async run(t, { userspace }) {
    const s = await SlottedFile.create(t, PAGES, [SLOT], userspace);
    const guest = t.guest(s.vm);
    const { first, at } = SLOT;
    const all = async (states: readonly State[], when: string): Promise<void> => {
      for (const [page, state] of states.entries()) {
        const other = state === 'shared' ? 'private' : 'shared';
        const gpa = s.gpa(at + page) + 0x123n;
        await works(t, guest, gpa, state, `${when}: ${state} page ${page} as ${state}`);
        await faults(t, guest, gpa, other, true, `${when}: ${state} page ${page} as ${other}`);
      }
    };
    await all(['shared', 'shared', 'shared', 'shared'], 'at first');
    await s.convert(first + 1, 2, 'private');
    await all(['shared', 'private', 'private', 'shared'], 'two pages private');
    await s.convert(first + 2, 1, 'shared');
    await all(['shared', 'private', 'shared', 'shared'], 'one of them shared again');
    await s.convert(0, PAGES, 'private');
    await all(['private', 'private', 'private', 'private'], 'all private');
    await s.convert(first, 4, 'shared');
    await all(['shared', 'shared', 'shared', 'shared'], 'all shared');
  },
});

const noMemory = defineCase<State>({
  name: 'convert-guest-without-memory',
  about:
    'A page that cannot be allocated for the guest exits with ENOMEM and a memory fault, and works at the next try, in ' +
    'either state (kvm_gmem_get_pfn(), kvm_mmu_faultin_pfn_gmem()).',
  requires: { ...CONVERTS_PLAIN, guest: true, faults: true },
  variants: { private: 'private', shared: 'shared' },
  async run(t, state) {
    const s = await Scenario.create(t, { pages: 2, type: 'sw-protected' });
    await s.convert(state);
    // The guest has all its own memory after this.
    t.ok((await s.guest.read(s.gpa(0), 1)).ok, 'the guest reads another page');
    t.mock.faults.failAllocation(1, 'page');
    const { exit } = fault(s.gpa(1), state);
    const wanted = { ok: false, exit: { ...exit, errno: -errno.ENOMEM } };
    t.equal<unknown>(await s.guest.read(s.gpa(1) + 5n, 1), wanted, 'the guest reads');
    if (state === 'private') await s.isPrivate(1, 0, 7);
    else await s.isShared(1, 0, 6, 7);
  },
});

const noSlot = defineCase<'closed' | 'deleted'>({
  name: 'convert-guest-after-the-file-is-gone',
  about:
    'Without a slot, or with a slot whose file was closed, a page counts as shared and there is nothing behind it: MMIO ' +
    'or KVM_EXIT_MEMORY_FAULT (kvm_gmem_get_pfn(): EFAULT; RFC v2 patch 06, v13).',
  requires: { ...CONVERTS, guest: true },
  variants: { closed: 'closed', deleted: 'deleted' },
  async run(t, how) {
    const s = await SlottedFile.create(t, PAGES, [SLOT]);
    const bit = hasPrivateBit(s.vm.type);
    const guest = t.guest(s.vm);
    const { first, at } = SLOT;
    await s.convert(first, 2, 'private');
    await works(t, guest, s.gpa(at), bit ? 'private' : undefined, 'private page');
    await works(t, guest, s.gpa(at + 3), bit ? 'shared' : undefined, 'shared page');
    if (how === 'deleted') await s.vm.deleteMemoryRegion(SLOT.slot);
    await s.mapping.close();
    await s.gmem.close();
    for (const page of [0, 3]) {
      if (how === 'closed') await faults(t, guest, s.gpa(at + page), 'shared', bit, `page ${page}`);
      else {
        const mmio = { ok: false, exit: { reason: 'mmio', gpa: s.gpa(at + page), write: false } };
        t.equal<unknown>(await guest.read(s.gpa(at + page), 1, bit ? 'shared' : undefined), mmio, `page ${page}: read`);
      }
      if (bit) await faults(t, guest, s.gpa(at + page), 'private', true, `page ${page}, private access`);
    }
  },
});

export const cases: readonly AnyCase[] = [neverFaults, plainVm, plainVmPrivateFile, privateBit, noMemory, noSlot];
