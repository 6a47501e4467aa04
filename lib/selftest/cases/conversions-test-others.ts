/**
 * The cases of the kernel's guest_memfd_conversions_test in which others have a part: a pin, a hole, a child, the VM's
 * own attributes (v13, and RFC v2 patches 12 and 44).
 */

import { errno } from '../../abi/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { CONVERTS, type State } from '../conversion.ts';
import type { CreateFlag, Requires } from '../requires.ts';
import { Scenario } from '../scenario.ts';

const [A, B, C, D, E] = [0x41, 0x42, 0x43, 0x44, 0x45];

const needs = (...flags: CreateFlag[]): Requires => ({ ...CONVERTS, flags: ['mmap', ...flags], guest: true });
const SHARED = needs('init-shared');
const PRIVATE = needs('init-private');
const ALL = [0, 1, 2, 3];
const pages = Object.fromEntries(ALL.map((page) => [`page-${page}`, page]));

const elevatedRefcount = defineCase<number>({
  name: 'conversions_elevated_refcount',
  about:
    'A pinned page blocks the whole range and itself, by its offset; the others are converted one by one, and all once ' +
    'it is unpinned (v13).',
  requires: { ...SHARED, pins: true },
  variants: pages,
  async run(t, pinned) {
    const s = await Scenario.create(t, { pages: 4 });
    const pin = s.pin(pinned);
    for (const page of ALL) await s.isShared(page, 0, A, B);
    await s.convertIsBlocked(pinned);
    for (const page of ALL) {
      if (page === pinned) await s.convertIsBlocked(page, page, 1);
      else await s.turnsPrivate(page, B, C);
    }
    pin.release();
    await s.convert('private');
    for (const page of ALL) await s.isPrivate(page, page === pinned ? B : C, D);
  },
});

const elevatedRefcountSinglePage = defineCase<number>({
  name: 'conversions_should_fail_if_memory_has_elevated_refcount',
  about: 'A pinned page is refused, and converted once it is unpinned; nobody else is troubled (RFC v2 patch 12).',
  requires: { ...SHARED, pins: true },
  variants: pages,
  async run(t, pinned) {
    const s = await Scenario.create(t, { pages: 4 });
    const pin = s.pin(pinned);
    for (const page of ALL) await s.isShared(page, 0, A, B);
    await s.convertIsBlocked(pinned, pinned, 1);
    pin.release();
    await s.turnsPrivate(pinned, B, C);
    for (const page of ALL) if (page !== pinned) await s.isShared(page, B, C, D);
    await s.turnsShared(pinned, C, D, E);
    for (const page of ALL) await s.hostUses(page, page === pinned ? E : D, A);
  },
});

const truncate = defineCase({
  name: 'conversions_truncate',
  about: 'A hole reads 0 and is shared or private as before (v13; RFC v2 patch 12, mappability; patch 44).',
  requires: SHARED,
  async run(t) {
    const s = await Scenario.create(t, { pages: 1 });
    await s.hostUses(0, 0, A);
    await s.punch();
    await s.hostUses(0, 0, A);
    await s.turnsPrivate(0, A, B);
    await s.punch();
    await s.isPrivate(0, 0, A);
    await s.turnsShared(0, A, B, C);
  },
});

const truncatePrivate = defineCase({
  name: 'conversions_truncate_private',
  about: 'Allocated private memory can be punched, and stays private (RFC v2 patch 44).',
  requires: PRIVATE,
  async run(t) {
    const s = await Scenario.create(t, { pages: 1, initially: 'private' });
    t.succeeds(await s.gmem.tryAllocate({ offset: 0, size: s.pageSize }), 'allocating');
    await s.punch();
    await s.isPrivate(0, 0, A);
  },
});

const truncateWhilePinned = defineCase({
  name: 'conversions_truncate_shared_while_pinned',
  about: 'Pinned shared memory of 4 KiB folios can be punched, with the pin and without (RFC v2 patch 44).',
  requires: { ...SHARED, pins: true },
  async run(t) {
    const s = await Scenario.create(t, { pages: 1 });
    t.succeeds(await s.gmem.tryAllocate({ offset: 0, size: s.pageSize }), 'allocating');
    const pin = s.pin(0);
    await s.punch();
    await s.isShared(0, 0, A, B);
    pin.release();
    await s.punch();
    await s.isShared(0, 0, A, B);
  },
});

const closeWithPinning = defineCase<State>({
  name: 'conversions_close_with_pinning',
  about: 'VM, mapping and file can go while a page is pinned, and the memory is free after that (RFC v2 patch 44).',
  requires: (initially) => ({ ...(initially === 'shared' ? SHARED : PRIVATE), pins: true, mock: true }),
  variants: { shared: 'shared', private: 'private' },
  async run(t, initially) {
    const before = t.mock.pagesInUse;
    const s = await Scenario.create(t, { pages: 1, initially });
    t.succeeds(await s.gmem.tryAllocate({ offset: 0, size: s.pageSize }), 'allocating');
    const pin = initially === 'shared' ? s.pin(0) : undefined;
    await s.vm.close();
    await s.mapping.close();
    await s.gmem.close();
    t.equal(t.mock.pagesInUse, before + (pin ? 1 : 0), 'pages in use');
    pin?.release();
    t.equal(t.mock.pagesInUse, before, 'pages in use without the pin');
  },
});

const forkedAccesses = defineCase({
  name: 'conversions_forked_accesses',
  about: 'A child that has the page mapped gets SIGBUS, reading and writing, once the parent made it private (v13).',
  requires: { ...SHARED, fork: true },
  async run(t) {
    const s = await Scenario.create(t, { pages: 1 });
    const child = t.fork();
    const { address } = s.mapping;
    await s.isShared(0, 0, A, B);
    const byte = new Uint8Array(1);
    t.equal(child.read(address, byte), 1, 'the child reads');
    t.equal(byte[0], B, 'what the child finds');
    t.equal(child.write(address, Uint8Array.of(C)), 1, 'the child writes');
    await s.turnsPrivate(0, C, D);
    t.equal(child.read(address, byte), -errno.EFAULT, 'the child reads private memory');
    t.equal(child.write(address, byte), -errno.EFAULT, 'the child writes private memory');
    await s.isPrivate(0, D, E);
  },
});

const memAttributes = defineCase({
  name: 'conversions_fault_type_independent_of_mem_attributes',
  about:
    'What the VM’s own memory attributes say makes no difference to memory that is converted in place: in RFC v2 the ' +
    'ioctl answers 0 without effect (patches 06 and 12); with attributes2 it is gone, or refuses private and ignores ' +
    'shared (v13, kvm_vm_ioctl_set_mem_attributes()).',
  requires: PRIVATE,
  async run(t) {
    const s = await Scenario.create(t, { pages: 1, initially: 'private' });
    const range = { address: s.gpa(0), size: s.pageSize };
    const set = async (to: State): Promise<void> => {
      const outcome = await s.vm.trySetMemoryAttributes({ ...range, to });
      if (t.features.dialect === 'rfc-convert') t.succeeds(outcome, `attribute ${to}`);
      else if (to === 'private') t.fails(outcome, ['ENOTTY', 'EINVAL'], 'attribute private');
      else if (!outcome.ok) t.fails(outcome, 'ENOTTY', 'attribute shared');
    };
    await set('shared');
    await s.isPrivate(0, 0, A);
    await s.convert('shared');
    await set('private');
    await s.isShared(0, A, B, C);
    await set('shared');
    await s.turnsPrivate(0, C, D);
  },
});

/** Those that are told of huge pages in the same words. */
export const sized: readonly AnyCase[] = [
  elevatedRefcount,
  elevatedRefcountSinglePage,
  truncate,
  truncatePrivate,
  forkedAccesses,
  memAttributes,
];

export const cases: readonly AnyCase[] = [...sized, truncateWhilePinned, closeWithPinning];
