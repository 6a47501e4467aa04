/** GuestRam is refused something in the middle: afterwards all is as it was. */

import { PAGE_SIZE } from '../../abi/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { IN_PLACE } from '../conversion.ts';
import { memory, PAGE } from '../dma.ts';
import { INTERFACES, type RamMode } from '../ram-device.ts';
import { markOf, RamScenario, ramRequires } from '../ram-scenario.ts';

const PAGES = 6;

const held = defineCase<RamMode>({
  name: 'guest-ram-held-page',
  about:
    'Somebody besides the devices holds a page: the conversion is refused with its offset, and the device has everything ' +
    'back, in the pieces that it had.',
  // Where attributes of the VM choose between two backings, nobody looks at references.
  requires: ramRequires({ dialect: IN_PLACE, pins: true }),
  variants: INTERFACES,
  async run(t, mode) {
    const s = await RamScenario.create(t, mode, { pages: PAGES, initially: 'shared' });
    await s.attach();
    await s.mark();
    await s.convert(0, 1, 'private');
    const before = s.pieces;
    const pin = t.pin(s.ram.gmem, 3 * PAGE_SIZE, PAGE_SIZE);
    const steps = await s.stepsOf(async () => {
      const refused = t.fails(await s.tryConvert(2, 3, 'private'), 'EAGAIN', 'converting under the pin');
      t.equal(refused.errorOffset, BigInt(3 * PAGE_SIZE), 'error_offset');
    });
    t.equal(
      steps,
      ['unmap', 'map', 'map', 'convert', 'restore-unmap', 'restore-unmap', 'restore-map'],
      'steps of the refused conversion',
    );
    t.equal(s.pieces, before, 'pieces that the device has');
    await s.agree('after the refusal');
    for (const page of [2, 3, 4]) await s.deviceFinds(page, markOf(page));
    await s.deviceStores(3, 0x73);
    await s.hostFinds(3, 0x73);
    pin.release();
    await s.convert(2, 3, 'private');
    await s.deviceIsRefused(3);
    await s.agree('without the pin');
  },
});

const taken = defineCase<RamMode>({
  name: 'guest-ram-taken-address',
  about:
    'Something else is mapped where a shared page belongs: EEXIST, the pages are private as before, and what the guest ' +
    'has there is whole.',
  requires: ramRequires(),
  variants: INTERFACES,
  async run(t, mode) {
    const s = await RamScenario.create(t, mode, { pages: PAGES, initially: 'private' });
    await s.attach();
    await s.guestStores(2, 0x62, 'private');
    const other = await memory(t, 1);
    await other.write(0, Uint8Array.of(0x99));
    t.succeeds(await s.device.map(other, s.iova(3)), 'mapping something else where page 3 belongs');
    t.fails(await s.tryConvert(2, 2, 'shared'), 'EEXIST', 'sharing pages 2 and 3');
    t.equal(s.pieces, [], 'pieces that the device has');
    t.equal(s.ram.states().length, 1, 'runs of pages of one state');
    // What is in the way is all that there is; a container cannot be asked.
    const differences = (await s.ram.check({ guest: s.reads, pages: 'all' })).map(({ who, offset }) => [who, offset]);
    t.equal(differences, s.knowsSpace ? [['space', 3n * PAGE]] : [], 'differences after the refusal');
    if (!s.hasPrivateBit) await s.guestFinds(2, 0x62, 'private');
    await s.deviceFinds(3, 0x99);
    await s.deviceIsRefused(2);
    t.succeeds(await s.device.unmap(s.iova(3), PAGE_SIZE), 'unmapping what is in the way');
    await s.convert(2, 2, 'shared');
    await s.mark();
    await s.agree('when nothing is in the way');
  },
});

export const cases: readonly AnyCase[] = [held, taken];
