/** Each rule of the mock notices when it is broken, and none is broken by itself. */

import { describe, expect, test } from 'vitest';
import * as abi from '../../lib/abi/index.ts';
import { Faults } from '../../lib/mock/faults.ts';
import { type Filter, GuestMemfdInode } from '../../lib/mock/guest-memfd/index.ts';
import { createMock } from '../../lib/mock/index.ts';
import { violations } from '../../lib/mock/invariants/index.ts';
import { Journal } from '../../lib/mock/journal.ts';
import type { Machine } from '../../lib/mock/kvm/index.ts';
import { mapsPage, Stage2 } from '../../lib/mock/kvm/stage2.ts';
import { type Folio, HostMemory } from '../../lib/mock/memory.ts';
import { createPlatform } from '../../lib/mock/platform/index.ts';
import type { SnpPlatform } from '../../lib/mock/platform/snp/snp.ts';
import { boot, GPA, PAGE } from './machine.ts';

/** A machine with one file of four pages, two of them private, and a VM without slots. */
function machine() {
  const faults = new Faults();
  const memory = new HostMemory(1 << 20, faults);
  const inode = new GuestMemfdInode({
    number: 1,
    size: BigInt(4 * PAGE),
    initially: 'shared',
    mappable: true,
    countsBlocks: false,
    allocator: undefined,
    memory,
    journal: new Journal(),
  });
  inode.shareability.set(2, 4, 'private');
  for (let page = 0; page < 4; page++) inode.filemap.allocate(page);
  const slot = { baseGfn: 0x100, pages: 4, gmem: { file: { inode }, firstPage: 0, only: true } };
  const slots = { find: (gfn: number) => (gfn >= 0x100 && gfn < 0x104 ? slot : undefined) };
  const profile = { conversion: 'attributes2' };
  const vm = {
    number: 2,
    type: abi.KVM_X86_SW_PROTECTED_VM,
    stage2: new Stage2(),
    slots,
    dead: false,
    machine: { profile },
  };
  const platform = createPlatform('sev-snp') as SnpPlatform;
  const fds = { size: 1 };
  const parts = { memory, platform, fds, vms: new Set([vm]), inodes: new Set([inode]), hugePages: new Map() };
  const folio = (page: number): Folio => inode.filemap.get(page)!;
  return { ...parts, inode, vm, folio, check: () => violations(parts as unknown as Machine) };
}

describe('a rule notices', () => {
  test('nothing, where all is well', () => {
    const { check, vm, folio } = machine();
    vm.stage2.install(mapsPage(0x100, folio(0), { writable: true, private: false }));
    vm.stage2.install(mapsPage(0x102, folio(2), { writable: true, private: true }));
    expect(check()).toEqual([]);
  });

  test('a private page in a page table of the host', () => {
    const { inode, folio, check } = machine();
    inode.mappings.add({
      unmapFilePages: () => {},
      mappedFilePages: () => [
        [0, folio(0)],
        [2, folio(2)],
      ],
    });
    expect(check()).toEqual(['no process maps a private page: a process maps page 2 of inode 1, which is private']);
  });

  test('a dropped page in a page table of the host', () => {
    const { inode, folio, check } = machine();
    const mapped = folio(0);
    inode.mappings.add({ unmapFilePages: () => {}, mappedFilePages: () => [[0, mapped]] });
    inode.dropFolios({ start: 0, end: 1 });
    expect(check()).toEqual([expect.stringContaining('maps what was page 0 of inode 1 before it was dropped')]);
  });

  test('somebody who holds a private page', () => {
    const { memory, folio, check } = machine();
    memory.get(folio(3));
    expect(check()).toEqual(['nobody holds a private page: page 3 of inode 1 is private, with 1 references']);
  });

  test('a reference too few', () => {
    const { memory, folio, check } = machine();
    memory.put(folio(0));
    expect(check()).toEqual(['references balance: page 0 of inode 1 has -1 references']);
  });

  test.each([
    { gfn: 0x102, isPrivate: false, what: 'guest page 258 of vm 2 is private, and translated as the other' },
    { gfn: 0x100, isPrivate: true, what: 'guest page 256 of vm 2 is shared, and translated as the other' },
    { gfn: 0x200, isPrivate: false, what: 'guest page 512 of vm 2 is translated, and no memory region has it' },
  ])('a translation for the wrong state, or nowhere: $what', ({ gfn, isPrivate, what }) => {
    const { vm, folio, check } = machine();
    vm.stage2.install(mapsPage(gfn, folio(gfn % 4), { writable: true, private: isPrivate }));
    expect(check()).toEqual([`no translation survives its invalidation: ${what}`]);
  });

  test('a translation to a page that is gone', () => {
    const { vm, inode, folio, check } = machine();
    vm.stage2.install(mapsPage(0x100, folio(0), { writable: true, private: false }));
    inode.dropFolios({ start: 0, end: 1 });
    expect(check()).toEqual([
      expect.stringContaining('guest page 256 of vm 2 leads to a page that the file does not have'),
    ]);
  });

  test('an invalidation that never ended', () => {
    const { vm, check } = machine();
    vm.stage2.beginInvalidation({ start: 0, end: 1 });
    expect(check()).toEqual(['begin and end balance: vm 2 has 1 invalidations that never ended']);
  });

  test('a shared page that the hardware has given to a guest', () => {
    const { platform, folio, check } = machine();
    platform.rmp.assign(folio(1).pfn!, 0x101, 5, '4K');
    expect(check()).toEqual(['a guest has private pages only: page 1 of inode 1 is shared, and a guest has it']);
  });

  test('a device that goes on with the other state', () => {
    const { inode, check } = machine();
    const nothing = (): void => {};
    const outsideRanges = () => [{ start: 1, end: 3, side: 'shared' as const, follows: true }];
    const unmap = (_range: unknown, _filter: Filter): void => {};
    inode.clients.add({ invalidateBegin: nothing, unmap, invalidateEnd: nothing, outsideRanges });
    expect(check()).toEqual([
      'no shared IOAS maps a private page: an IOAS maps page 2 of inode 1 as shared, and it is private',
    ]);
  });

  test('what is left when all is closed', () => {
    const { fds, check } = machine();
    fds.size = 0;
    expect(check()).toEqual([
      'memory and counters return to zero: 4 pages are in use',
      'memory and counters return to zero: 1 VMs live',
      'memory and counters return to zero: 1 guest_memfds live',
    ]);
  });
});

describe('after every call', () => {
  test('a machine that keeps its rules is left in peace', () => {
    const { convert, controls, guest, syscalls, address, punch } = boot({ kernel: 'rfc-v2', invariants: true });
    expect(syscalls.copyInSync(address, Uint8Array.of(1))).toBe(1);
    expect(guest.read(GPA, 1).ok).toBe(true);
    expect([convert(0, 2, 'private'), punch(1, 1), convert(0, 4, 'shared')]).toEqual([0, 0, 0]);
    expect(controls.violations()).toEqual([]);
  });

  test('a broken rule is thrown, with the call', () => {
    const { convert, controls, syscalls, address, gmem } = boot({ kernel: 'rfc-v2', invariants: true });
    syscalls.copyInSync(address, Uint8Array.of(1));
    // What no kernel does: somebody takes a reference between the check and the change of state.
    controls.journal.listen(({ step }) => {
      if (step === 'check-references') controls.pin(gmem, 0, PAGE);
    });
    expect(() => convert(0, 1, 'private')).toThrow(
      'the mock broke its own rules in ioctl:\nnobody holds a private page: page 0 of inode',
    );
    expect(controls.violations()).toHaveLength(1);
  });

  test('the switch is a boolean', () => {
    expect(() => createMock({ invariants: 1 as never })).toThrow(TypeError);
    expect(createMock({ invariants: false }).controls.violations()).toEqual([]);
  });
});
