/** GuestRam in several address spaces and memory regions at once. */

import { PAGE_SIZE } from '../../abi/index.ts';
import { GuestRam } from '../../guest-ram/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { IOVA, memory, PAGE } from '../dma.ts';
import { hasProtectedState } from '../facts.ts';
import { ramDevice } from '../ram-device.ts';
import { guestReads, ramRequires } from '../ram-scenario.ts';

const HALF = 4 * PAGE_SIZE;
const RETRY = { retry: { attempts: 100, delayMs: 1 } };

const twoOfEach = defineCase({
  name: 'guest-ram-two-slots-two-spaces',
  about:
    'The halves of a file lie the other way round in the guest, in two regions and two address spaces: a conversion at ' +
    'guest addresses over their border reaches both; where the second space refuses, the first gives back what it got.',
  requires: ramRequires()('mock-domain'),
  async run(t) {
    const vm = await t.vm();
    const [one, other] = [await ramDevice(t, 'mock-domain'), await ramDevice(t, 'mock-domain')];
    const ram = await GuestRam.create(vm, {
      size: 2 * HALF,
      initially: 'private',
      regions: [
        { slot: 0, guestPhysAddr: IOVA, offset: HALF, size: HALF },
        { slot: 1, guestPhysAddr: IOVA + BigInt(HALF), offset: 0, size: HALF },
      ],
    });
    t.defer(() => ram.close());
    const guest = guestReads(t.guest(vm), hasProtectedState(vm.type));
    for (const { target } of [one, other]) t.succeeds(await ram.tryAttach(target), 'giving a device what is shared');
    const agree = async (when: string): Promise<void> => {
      for (const device of [one, other]) {
        t.equal(await ram.check({ guest, device: device.read, pages: 'all' }), [], `differences ${when}`);
      }
    };
    const border = { guestPhysAddr: IOVA + 3n * PAGE, size: 2 * PAGE_SIZE };
    const iovas = [border.guestPhysAddr, border.guestPhysAddr + PAGE];
    t.succeeds(await ram.tryConvertGuest({ ...border, to: 'shared' }, RETRY), 'sharing two pages at the border');
    for (const [i, iova] of iovas.entries()) await one.write(iova, Uint8Array.of(0x50 + i));
    for (const [i, iova] of iovas.entries())
      t.equal((await other.read(iova, 1))?.[0], 0x50 + i, 'what the other finds');
    for (const { target } of [one, other]) t.equal(ram.mappedIn(target).length, 2, 'pieces that a device has');
    await agree('when the border is shared');
    t.succeeds(await ram.tryConvertGuest({ ...border, to: 'private' }, RETRY), 'taking them back');
    await agree('when all is private again');

    const inTheWay = await memory(t, 1);
    t.succeeds(await other.map(inTheWay, IOVA), 'mapping something else in the second space');
    const start = { offset: HALF, size: 2 * PAGE_SIZE };
    t.fails(await ram.tryConvert({ ...start, to: 'shared' }, RETRY), 'EEXIST', 'sharing the first pages of the guest');
    t.equal(ram.mappedIn(one.target), [], 'what the first space has of it');
    t.equal(await one.read(IOVA, 1), undefined, 'what its device finds');
    t.succeeds(await other.unmap(IOVA, PAGE_SIZE), 'unmapping what is in the way');
    await agree('after the refusal');
    t.succeeds(await ram.tryConvert({ ...start, to: 'shared' }, RETRY), 'sharing them then');
    await agree('at last');
  },
});

export const cases: readonly AnyCase[] = [twoOfEach];
