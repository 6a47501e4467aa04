/** One conversion that touches several memslots and several devices, each of which has another part of the memory. */

import { PAGE_SIZE } from '../../abi/index.ts';
import { GuestRam } from '../../guest-ram/index.ts';
import type { IommuPolicy } from '../../mock/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { IOVA, iommufd } from '../dma.ts';
import { bytesFor, LentMemory, lends, mapsBy, policyVariants } from '../lent-memory.ts';
import { fateOf } from './thread-conversion.ts';

const PAGES = 8;

const raw = defineCase<IommuPolicy>({
  name: 'thread-conversion-over-several-devices',
  about:
    'Two devices have overlapping parts of a memory in two memslots, and some of it none has: pinned pages refuse a ' +
    'conversion of all until the last of them is unmapped, and name the first; without references all is converted at once.',
  requires: lends(),
  variants: policyVariants,
  async run(t, policy) {
    const lent = await LentMemory.create(t, policy, { pages: PAGES, slots: 2 });
    const { memory } = lent;
    const [one, other] = [await lent.device(), await lent.device()];
    for (let page = 0; page < PAGES; page += 1) await memory.isShared(page, 0, 1, 0x20 + page);
    await one.map(1, 3);
    await other.map(3, 3);
    await one.finds(3, 0x23);
    await other.finds(3, 0x23);
    const fate = fateOf(t, policy);
    if (fate === 'refuses') {
      await memory.convertIsBlocked(1);
      await one.unmap(1, 3);
      await memory.convertIsBlocked(3);
      await other.finds(5, 0x25);
      await other.unmap(3, 3);
    }
    await memory.convert('private');
    if (fate === 'stale' || fate === 'keeps' || fate === 'revokes') {
      await one.unmap(1, 3);
      await other.unmap(3, 3);
    }
    for (let page = 0; page < PAGES; page += 1) {
      await memory.isPrivate(page, 0x20 + page, 0x30 + page);
      await one.isRefused(page);
      await other.isRefused(page);
    }
  },
});

const guestRam = defineCase<IommuPolicy>({
  name: 'thread-guest-ram-keeps-step',
  about:
    'GuestRam has one memory in two memslots and two address spaces: it takes a range from both, converts it over the ' +
    'border of the slots and gives it back; somebody else’s pin refuses that, and then everything is as it was.',
  requires: lends(),
  variants: policyVariants,
  async run(t, policy) {
    const vm = await t.vm();
    const half = bytesFor(PAGES / 2);
    const ram = await GuestRam.create(vm, {
      size: 2 * half,
      initially: 'shared',
      regions: [
        { slot: 0, guestPhysAddr: IOVA, offset: 0, size: half },
        { slot: 1, guestPhysAddr: IOVA + 0x10_0000n, offset: half, size: half },
      ],
    });
    t.defer(() => ram.close());
    const file = await iommufd(t);
    const spaces = [await file.allocIoas(), await file.allocIoas()];
    for (const space of spaces) {
      const device = await file.test.mockDevice(space);
      t.defer(() => device.close());
      await ram.attach(space, { by: mapsBy(policy) });
    }
    for (let page = 0; page < PAGES; page += 1) await ram.mapping.write(bytesFor(page), Uint8Array.of(0x40 + page));
    const range = { offset: bytesFor(2), size: bytesFor(4) };
    const retry = { attempts: 100, delayMs: 1 };
    t.equal(await ram.check({ pages: 'all' }), [], 'differences at first');
    t.succeeds(await ram.tryConvert({ ...range, to: 'private' }, { retry }), 'converting to private');
    t.equal(await ram.check({ pages: 'all' }), [], 'differences when the middle is private');
    for (const space of spaces) t.equal(ram.mappedIn(space).length, 2, 'pieces that a space has');
    t.succeeds(await ram.tryConvert({ ...range, to: 'shared' }, { retry }), 'converting to shared');
    t.equal(await ram.check({ pages: 'all' }), [], 'differences when all is shared again');
    const foreign = await file.allocIoas();
    const foreigner = await file.test.mockDevice(foreign);
    t.defer(() => foreigner.close());
    await foreign.map({ address: ram.mapping, offset: bytesFor(4), length: PAGE_SIZE, iova: IOVA });
    const refused = t.fails(
      await ram.tryConvert({ ...range, to: 'private' }),
      'EAGAIN',
      'converting with a foreign pin',
    );
    t.equal(refused.errorOffset, BigInt(bytesFor(4)), 'error_offset');
    t.equal(await ram.check({ pages: 'all' }), [], 'differences after the refusal');
    await foreign.unmapAll();
    t.succeeds(await ram.tryConvert({ ...range, to: 'private' }, { retry }), 'converting without the pin');
    t.equal(await ram.check({ pages: 'all' }), [], 'differences at last');
  },
});

export const cases: readonly AnyCase[] = [raw, guestRam];
