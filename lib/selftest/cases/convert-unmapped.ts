/** Files that cannot be mapped: what a conversion does to memory that the host never sees. */

import { PAGE_SIZE } from '../../abi/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { CONVERTS_PLAIN, RawConversion } from '../conversion.ts';
import { GuestMemory } from '../guest-memory.ts';
import { GUEST_START } from '../scenario.ts';

const GUEST = { dialect: CONVERTS_PLAIN.dialect!, vmType: 'sw-protected', guest: true } as const;
const RANGE = { offset: 0, size: PAGE_SIZE };

const unmapped = defineCase({
  name: 'convert-a-file-that-cannot-be-mapped',
  about:
    'Without MMAP the host sees nothing in either state and the guest reaches both through the file ' +
    '(v13, kvm_gmem_mmap() answers ENODEV and the state is kept all the same).',
  requires: { ...GUEST, dialect: ['attributes2'] },
  async run(t) {
    const vm = await t.vm();
    const gmem = await t.gmem(vm, { size: 2 * PAGE_SIZE, initially: 'private' });
    await vm.setMemoryRegion({ slot: 0, guestPhysAddr: GUEST_START, size: 2 * PAGE_SIZE, gmem, userspaceAddr: 0n });
    const guest = t.guest(vm);
    t.fails(await gmem.tryMap(), 'ENODEV', 'mapping it');
    t.equal((await guest.write(GUEST_START, Uint8Array.of(7))).ok, true, 'guest writes private memory');
    t.succeeds(await gmem.tryConvert({ offset: 0, size: PAGE_SIZE, to: 'shared' }), 'converting to shared');
    t.equal(await guest.read(GUEST_START, 1), { ok: true, bytes: Uint8Array.of(7) }, 'guest reads shared memory');
    t.fails(await gmem.tryMap(), 'ENODEV', 'mapping shared memory');
    t.succeeds(await gmem.tryConvert({ offset: 0, size: 2 * PAGE_SIZE, to: 'private' }), 'converting to private');
    t.equal(await guest.read(GUEST_START, 1), { ok: true, bytes: Uint8Array.of(7) }, 'guest reads private memory');
  },
});

const withoutSharing = defineCase({
  name: 'convert-a-file-without-support-shared',
  about:
    'Without SUPPORT_SHARED the ioctl answers 0 and neither guest nor host sees a difference: the VM’s attributes say ' +
    'what is private (RFC v2 patches 02, 04 and 06). gmem.convert() refuses to pretend.',
  requires: { ...GUEST, dialect: ['rfc-convert'] },
  async run(t) {
    const m = await GuestMemory.create(t, 1, { backing: 'dual' });
    await m.hostWrites(0, PAGE_SIZE, 0x10);
    await m.guestFinds(0, PAGE_SIZE, 0x10);
    t.fails(await m.gmem.tryMap(), 'ENODEV', 'mapping it');
    for (const to of ['private', 'shared'] as const) {
      await new RawConversion(t, { ...RANGE, to }).succeeds(m.gmem, `converting to ${to}`);
      await m.guestFinds(0, PAGE_SIZE, 0x10);
      await t.throws(() => m.gmem.convert({ ...RANGE, to }), 'ERR_UNSUPPORTED', `gmem.convert() to ${to}`);
    }
    await m.vm.setMemoryAttributes({ address: GUEST_START, size: PAGE_SIZE, to: 'private' });
    await m.guestFinds(0, PAGE_SIZE, 0);
    await m.guestWrites(0, PAGE_SIZE, 0x20);
    for (const to of ['private', 'shared'] as const) {
      await new RawConversion(t, { ...RANGE, to }).succeeds(m.gmem, `converting to ${to}`);
      await m.guestFinds(0, PAGE_SIZE, 0x20);
    }
    await m.hostFinds(0, PAGE_SIZE, 0x10);
  },
});

export const cases: readonly AnyCase[] = [unmapped, withoutSharing];
