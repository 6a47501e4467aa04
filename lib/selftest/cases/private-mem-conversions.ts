/**
 * The kernel's private_mem_conversions_test: a guest that asks for conversions of parts of its memory, pattern after
 * pattern, and the host's view of it. In place (`-g` in RFC v2 patch 14; v13) the host loses private memory; with
 * attributes of the VM it goes on seeing the shared memory that the guest had there before.
 */

import { PAGE_SIZE } from '../../abi/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { DATA_SIZE, GuestMemory } from '../guest-memory.ts';
import type { Requires } from '../requires.ts';

const REQUIRES: Requires = {
  dialect: ['rfc-convert', 'attributes2', 'vm-attributes'],
  vmType: 'sw-protected',
  guest: true,
};

const HUGE = 0x20_0000;
const RANGES = {
  'first-page': { offset: 0, size: PAGE_SIZE },
  'first-2m': { offset: 0, size: HUGE },
  'second-page': { offset: PAGE_SIZE, size: PAGE_SIZE },
  '2m-from-the-second-page': { offset: PAGE_SIZE, size: HUGE },
  'last-page': { offset: HUGE, size: PAGE_SIZE },
} as const;

interface Setting {
  readonly offset: number;
  readonly size: number;
  /** Whether conversions are followed by an allocation, as hypervisors do that want no faults. */
  readonly allocates: boolean;
  readonly slots: number;
}

const everyOther =
  (even: number, odd: number) =>
  (page: number): number =>
    page % 2 === 0 ? even : odd;

function oddPages(offset: number, size: number): number[] {
  const pages = Math.floor(size / PAGE_SIZE / 2);
  return Array.from({ length: pages }, (_, n) => offset + (2 * n + 1) * PAGE_SIZE);
}

const settings: Record<string, Setting> = {};
for (const [name, range] of Object.entries(RANGES)) {
  settings[name] = { ...range, allocates: false, slots: 1 };
  settings[`${name}-allocated`] = { ...range, allocates: true, slots: 1 };
  settings[`${name}-of-3-slots`] = { ...range, allocates: false, slots: 3 };
}

const explicitConversion = defineCase<Setting>({
  name: 'private_mem_explicit_conversion',
  about:
    'A range is made private, written by the guest, shared again page by odd page and then as a whole: both sides find ' +
    'what was written last, and nothing around the range changes (private_mem_conversions_test, guest_test_explicit_conversion).',
  requires: REQUIRES,
  variants: settings,
  async run(t, { offset, size, allocates, slots }) {
    const m = await GuestMemory.create(t, slots);
    const convert = async (at: number, length: number, to: 'private' | 'shared'): Promise<void> => {
      await m.convert(at, length, to);
      if (allocates)
        t.succeeds(await m.gmem.tryAllocate({ offset: at, size: length }), 'allocating what was converted');
    };
    await m.guestWrites(0, DATA_SIZE, 0xaa);
    await m.hostFinds(0, DATA_SIZE, 0xaa);
    await m.hostWrites(0, DATA_SIZE, 0xcc);
    await m.guestFinds(0, DATA_SIZE, 0xcc);

    await m.guestWrites(offset, size, 0x11);
    await convert(offset, size, 'private');
    await m.guestWrites(offset, size, 0x22);
    await m.hostFindsPrivate(offset, size, 0x11);
    await m.guestFinds(offset, size, 0x22);
    await m.guestFinds(0, offset, 0xcc);
    await m.guestFinds(offset + size, DATA_SIZE - offset - size, 0xcc);

    const shareAndWrite = async (at: number): Promise<void> => {
      await convert(at, PAGE_SIZE, 'shared');
      await m.hostWrites(at, PAGE_SIZE, 0x33);
    };
    const [first, ...others] = oddPages(offset, size);
    if (first !== undefined) {
      await shareAndWrite(first);
      await m.guestFinds(offset, 2 * PAGE_SIZE, everyOther(0x22, 0x33));
    }
    // All at once: on an emulated machine each wait is long.
    await Promise.all(others.map(shareAndWrite));
    await m.guestFinds(offset, size, everyOther(0x22, 0x33));

    await convert(offset, size, 'shared');
    await m.guestWrites(offset, size, 0x33);
    await m.hostFinds(offset, size, 0x33);
    await m.hostWrites(offset, size, 0x44);
    await m.guestFinds(offset, size, 0x44);
    await m.hostFinds(0, offset, 0xcc);
    await m.hostFinds(offset + size, DATA_SIZE - offset - size, 0xcc);

    // In place there is one memory, so the hole is in what is shared too.
    await m.punch(0, DATA_SIZE);
    await m.hostFinds(offset, size, t.features.dialect === 'vm-attributes' ? 0x44 : 0);
  },
});

const punchHole = defineCase<{ readonly offset: number; readonly size: number; readonly precise: boolean }>({
  name: 'private_mem_punch_hole',
  about:
    'Private memory reads 0 where a hole was punched and keeps what was written around it, whether all of it or only the ' +
    'range was used (private_mem_conversions_test, guest_test_punch_hole).',
  requires: REQUIRES,
  variants: Object.fromEntries(
    Object.entries(RANGES).flatMap(([name, range]) => [
      [name, { ...range, precise: false }],
      [`${name}-precise`, { ...range, precise: true }],
    ]),
  ),
  async run(t, { offset, size, precise }) {
    const m = await GuestMemory.create(t, 1);
    const [at, length] = precise ? [offset, size] : [0, DATA_SIZE];
    await m.convert(0, DATA_SIZE, 'private');
    await m.punch(0, DATA_SIZE);
    await m.guestWrites(at, length, 0xcc);
    await m.guestFinds(at, length, 0xcc);
    await m.punch(offset, size);
    await m.guestFinds(offset, size, 0);
    await m.guestFinds(at, offset - at, 0xcc);
    await m.guestFinds(offset + size, at + length - offset - size, 0xcc);
    await m.hostFindsPrivate(offset, size, 0);
  },
});

const afterTheVm = defineCase({
  name: 'private_mem_after_the_vm',
  about: 'Once the VM fd is closed the file can still be punched and allocated (private_mem_conversions_test, end).',
  requires: REQUIRES,
  async run(t) {
    const m = await GuestMemory.create(t, 1);
    await m.convert(0, DATA_SIZE, 'private');
    await m.guestWrites(0, DATA_SIZE, 0x77);
    await m.vm.close();
    t.succeeds(await m.gmem.tryPunchHole({ offset: 0, size: DATA_SIZE }), 'punching all');
    t.succeeds(await m.gmem.tryAllocate({ offset: 0, size: DATA_SIZE }), 'allocating all');
  },
});

export const cases: readonly AnyCase[] = [explicitConversion, punchHole, afterTheVm];
