/** GuestRam: one memory that host, guest and devices have, kept in step on every kernel that converts memory. */

import { type AnyCase, defineCase } from '../case.ts';
import { memory } from '../dma.ts';
import { INTERFACES, RAM_MODES, type RamMode } from '../ram-device.ts';
import { markOf, RamScenario, ramRequires } from '../ram-scenario.ts';
import { cases as designs } from './guest-ram-designs.ts';
import { cases as refusals } from './guest-ram-refusals.ts';
import { cases as spaces } from './guest-ram-spaces.ts';

const PAGES = 6;

const convert = defineCase<RamMode>({
  name: 'guest-ram-convert',
  about:
    'Pages under a device become private: the device loses them and nothing else, the guest has them for itself; shared ' +
    'again, the device has them back, and host, guest and device find what the others wrote.',
  requires: ramRequires(),
  variants: RAM_MODES,
  async run(t, mode) {
    const s = await RamScenario.create(t, mode, { pages: PAGES, initially: 'shared' });
    await s.attach();
    await s.mark();
    t.equal(s.pieces, [[0, PAGES]], 'pieces that the device has at first');
    await s.agree('at first');
    await s.convert(2, 2, 'private');
    t.equal(
      s.pieces,
      [
        [0, 2],
        [4, 2],
      ],
      'pieces that the device has while the middle is private',
    );
    await s.agree('while the middle is private');
    for (const page of [1, 4]) await s.deviceFinds(page, markOf(page));
    await s.deviceIsRefused(2);
    await s.guestStores(3, 0x63, 'private');
    await s.convert(2, 2, 'shared');
    if (s.keepsContents) await s.hostFinds(3, 0x63);
    await s.mark();
    await s.agree('when all is shared again');
    await s.guestStores(2, 0x72, 'shared');
    await s.deviceFinds(2, 0x72);
    await s.deviceStores(3, 0x83);
    await s.guestFinds(3, 0x83, 'shared');
    await s.hostFinds(3, 0x83);
  },
});

const fromPrivate = defineCase<RamMode>({
  name: 'guest-ram-share',
  about:
    'Of memory that begins private a device gets each part when it is shared, in one piece, and no part of it sooner.',
  requires: ramRequires(),
  variants: INTERFACES,
  async run(t, mode) {
    const s = await RamScenario.create(t, mode, { pages: PAGES, initially: 'private' });
    await s.attach();
    t.equal(s.pieces, [], 'pieces that the device has at first');
    await s.agree('at first');
    await s.deviceIsRefused(3);
    await s.convert(1, 3, 'shared');
    t.equal(s.pieces, [[1, 3]], 'pieces that the device has then');
    await s.mark();
    await s.agree('when three pages are shared');
    await s.deviceStores(2, 0x92);
    await s.guestFinds(2, 0x92, 'shared');
    await s.deviceIsRefused(4);
  },
});

const hole = defineCase<RamMode>({
  name: 'guest-ram-hole',
  about:
    'A hole under a device: host and guest find a page of zeroes there, and the device has that page and no other.',
  requires: ramRequires(),
  variants: INTERFACES,
  async run(t, mode) {
    const s = await RamScenario.create(t, mode, { pages: PAGES, initially: 'shared' });
    await s.attach();
    await s.mark();
    t.succeeds(await s.ram.tryPunchHole({ offset: 2 * 0x1000, size: 2 * 0x1000 }), 'punching');
    for (const page of [2, 3]) await s.hostFinds(page, 0);
    for (const page of [2, 3]) await s.guestFinds(page, 0, 'shared');
    await s.hostStores(2, 0x52);
    await s.deviceFinds(2, 0x52);
    await s.deviceStores(3, 0x53);
    await s.hostFinds(3, 0x53);
    await s.agree('after the hole');
  },
});

const checkTells = defineCase<RamMode>({
  name: 'guest-ram-check-tells',
  about: 'check() says who sees a page otherwise than it should: a device whose mapping is gone, or leads elsewhere.',
  requires: ramRequires(),
  variants: INTERFACES,
  async run(t, mode) {
    const s = await RamScenario.create(t, mode, { pages: 2, initially: 'shared' });
    await s.attach();
    await s.mark();
    const seen = async (): Promise<unknown[]> => {
      const { reads: guest, device } = s;
      const differences = await s.ram.check({ guest, device: device.read });
      return differences.map(({ who, offset, found }) => [who, offset, found.replace(/^IOAS \d+ /, '')]);
    };
    const spaceTells = (offset: bigint) => (s.knowsSpace ? [['space', offset, 'does not map it']] : []);
    t.succeeds(await s.device.unmap(s.iova(0), 0x2000), 'unmapping behind its back');
    const gone = [0n, 0x1000n].flatMap((offset) => [...spaceTells(offset), ['device', offset, 'cannot read it']]);
    t.equal(await seen(), gone, 'differences when nothing is mapped');
    const other = await memory(t, 1);
    await other.write(0, Uint8Array.of(0x99));
    t.succeeds(await s.device.map(other, s.iova(0)), 'mapping something else behind its back');
    t.equal(
      await seen(),
      [
        ['device', 0n, 'reads other bytes than the host'],
        ...spaceTells(0x1000n),
        ['device', 0x1000n, 'cannot read it'],
      ],
      'differences when something else is mapped',
    );
  },
});

const closed = defineCase<RamMode>({
  name: 'guest-ram-close',
  about: 'Closing takes the memory from its devices: they reach nothing of it, and their addresses are free.',
  requires: ramRequires(),
  variants: INTERFACES,
  async run(t, mode) {
    const s = await RamScenario.create(t, mode, { pages: 2, initially: 'shared' });
    await s.attach();
    await s.mark();
    await s.deviceFinds(1, markOf(1));
    await s.ram.close();
    for (const page of [0, 1])
      t.equal(await s.device.read(s.iova(page), 1), undefined, `the device reads page ${page}`);
    const other = await memory(t, 1);
    await other.write(0, Uint8Array.of(0x99));
    t.succeeds(await s.device.map(other, s.iova(1)), 'mapping something else there');
    await s.deviceFinds(1, 0x99);
  },
});

export const cases: readonly AnyCase[] = [
  convert,
  fromPrivate,
  hole,
  ...refusals,
  ...spaces,
  ...designs,
  checkTells,
  closed,
];
