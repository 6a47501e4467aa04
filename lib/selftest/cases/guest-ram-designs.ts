/** GuestRam where today's kernels do not go: private memory for devices that the guest trusts, and huge pages. */

import { PAGE_SIZE } from '../../abi/index.ts';
import { GuestRam } from '../../guest-ram/index.ts';
import type { IommuPolicy } from '../../mock/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { IN_PLACE } from '../conversion.ts';
import { IOVA, iommufd, PAGE } from '../dma.ts';
import { hasProtectedState } from '../facts.ts';
import { ramDevice } from '../ram-device.ts';
import { guestReads, markOf, ramRequires } from '../ram-scenario.ts';

const PAGES = 6;
const RETRY = { retry: { attempts: 100, delayMs: 1 } };
const iova = (page: number): bigint => IOVA + BigInt(page) * PAGE;

const privateSide = defineCase<IommuPolicy>({
  name: 'guest-ram-private-side',
  about:
    'A device of the host has the shared pages and one that the guest trusts the private ones: each conversion moves ' +
    'them from one to the other, and nobody is left with a translation that the kernel would have to deal with.',
  requires: (iommuPolicy) => ramRequires({ dialect: IN_PLACE, mock: true, iommuPolicy })('mock-domain'),
  variants: { 'trust-vmm': 'trust-vmm', notifier: 'notifier', 'revoke-area': 'revoke-area' },
  async run(t) {
    const vm = await t.vm();
    const regions = [{ slot: 0, guestPhysAddr: IOVA }];
    const ram = await GuestRam.create(vm, { size: PAGES * PAGE_SIZE, initially: 'shared', regions });
    t.defer(() => ram.close());
    const isProtected = hasProtectedState(vm.type);
    const guest = guestReads(t.guest(vm), isProtected);
    const file = await iommufd(t);
    const [shared, trusted] = [await file.allocIoas(), await file.allocIoas()];
    t.mock.makePrivateSide(file.fd, trusted.id);
    for (const ioas of [shared, trusted]) {
      const device = await file.test.mockDevice(ioas);
      t.defer(() => device.close());
    }
    await ram.attach(shared, { by: 'file' });
    await ram.attach(trusted, { holds: 'private' });
    const finds = (ioas: typeof shared, page: number): number | undefined =>
      t.mock.dma(file.fd, ioas.id).read(iova(page), 1)[0];
    for (let page = 0; page < PAGES; page += 1) await ram.mapping.write(page * PAGE_SIZE, Uint8Array.of(markOf(page)));

    t.mock.journal.clear();
    const middle = { offset: 2 * PAGE_SIZE, size: 2 * PAGE_SIZE };
    t.succeeds(await ram.tryConvert({ ...middle, to: 'private' }, RETRY), 'converting to private');
    const stored = await t.guest(vm).write(iova(2), Uint8Array.of(0x72), isProtected ? 'private' : undefined);
    t.equal(stored, { ok: true }, 'the guest writes page 2');
    t.equal([finds(trusted, 2), finds(shared, 2)], [0x72, 0], 'what the devices find on the private page');
    t.equal([finds(trusted, 1), finds(shared, 1)], [0, markOf(1)], 'what the devices find on a shared page');
    t.equal(await ram.check({ guest, pages: 'all' }), [], 'differences while the middle is private');
    t.equal([ram.mappedIn(shared).length, ram.mappedIn(trusted).length], [2, 1], 'pieces that the devices have');

    t.succeeds(await ram.tryConvert({ ...middle, to: 'shared' }, RETRY), 'converting to shared');
    await ram.mapping.write(2 * PAGE_SIZE, Uint8Array.of(0x92));
    t.equal([finds(trusted, 2), finds(shared, 2)], [0, 0x92], 'what the devices find on the page that is shared again');
    t.equal(await ram.check({ guest, pages: 'all' }), [], 'differences when all is shared again');
    const dealtWith = t.mock.journal.entries.filter(
      ({ step, reason }) => step === 'hazard' || (step.startsWith('iommu-') && reason !== undefined),
    );
    t.equal(dealtWith, [], 'translations that the kernel had to deal with, and hazards');
  },
});

const HUGE = 0x20_0000;

const hugePages = defineCase({
  name: 'guest-ram-huge-pages',
  about:
    'Memory in huge pages under a device: single pages of it are converted there and back and keep what is on them, and a ' +
    'huge page is whole again once all of it is private.',
  requires: ramRequires({ dialect: ['rfc-convert'], vmType: 'sw-protected', hugePageSize: '2M' })('mock-domain'),
  async run(t) {
    const vm = await t.vm();
    const regions = [{ slot: 0, guestPhysAddr: IOVA }];
    const size = 2 * HUGE;
    const made = await GuestRam.tryCreate(vm, { size, initially: 'shared', regions, hugePageSize: '2M' });
    // How many huge pages a real host has set aside is nothing a case can require.
    if (!made.ok && made.code === 'ENOMEM' && !t.host.mock) t.skip(made.error.message);
    const ram = t.succeeds(made, 'making the memory');
    t.defer(() => ram.close());
    const device = await ramDevice(t, 'mock-domain');
    t.succeeds(await ram.tryAttach(device.target), 'giving the device what is shared');
    const guest = guestReads(t.guest(vm), hasProtectedState(vm.type));
    t.equal(ram.mappedIn(device.target).length, 1, 'pieces that the device has');
    for (const at of [0, 8 * PAGE_SIZE, HUGE, size - PAGE_SIZE]) await ram.mapping.write(at, Uint8Array.of(0x5a));
    const agree = async (when: string): Promise<void> => {
      t.equal(await ram.check({ guest, device: device.read }), [], `differences ${when}`);
    };
    await agree('at first');
    const part = { offset: 8 * PAGE_SIZE, size: HUGE };
    t.succeeds(await ram.tryConvert({ ...part, to: 'private' }, RETRY), 'converting parts of both huge pages');
    await agree('while the middle is private');
    t.equal(ram.mappedIn(device.target).length, 2, 'pieces that the device has then');
    const kept = { ok: true, bytes: Uint8Array.of(0x5a) };
    t.equal<unknown>(await t.guest(vm).read(iova(8), 1), kept, 'what the guest finds on page 8');
    t.succeeds(await ram.tryConvert({ offset: 0, size, to: 'private' }, RETRY), 'converting all of it');
    await agree('when all is private');
    t.succeeds(await ram.tryConvert({ offset: 0, size, to: 'shared' }, RETRY), 'converting all of it back');
    t.equal((await ram.mapping.read(8 * PAGE_SIZE, 1))[0], 0x5a, 'what is on page 8 in the end');
    t.equal((await device.read(iova(8), 1))?.[0], 0x5a, 'what the device finds there');
    await agree('at last');
  },
});

export const cases: readonly AnyCase[] = [privateSide, hugePages];
