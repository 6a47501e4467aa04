/** A machine check of TDX ends the mocked host: what a test sees from then on. */

import { expect, test } from 'vitest';
import { GuestRam } from '../../lib/guest-ram/index.ts';
import { launch, openHost } from '../../lib/kvm/index.ts';
import { isMockHostCrashedError } from '../../lib/syscalls/host-crashed.ts';

const PAGE = 0x1000;
const GPA = 0x2000_0000n;
const DIED = { code: 'ERR_MOCK_HOST_CRASHED', name: 'MockHostCrashedError' };

/** A TD whose private page a device still has as shared memory: nobody told its IOMMU. */
async function aboutToDie() {
  const host = await openHost({ backend: 'mock', kernel: 'rfc-v2', platform: 'tdx', iommu: 'trust-vmm' });
  const vm = await host.createVm({ type: 'tdx' });
  await launch(vm);
  const regions = [{ slot: 0, guestPhysAddr: GPA }];
  const ram = await GuestRam.create(vm, { size: 4 * PAGE, initially: 'shared', regions });
  const iommufd = await host.iommufd();
  const ioas = await iommufd.allocIoas();
  await iommufd.test.mockDevice(ioas);
  await ioas.mapFile({ file: ram.gmem, start: 0, length: 4 * PAGE, iova: GPA });
  await ram.gmem.convert({ offset: 0, size: PAGE, to: 'private' });
  const mock = host.mock!;
  const guest = mock.guest(vm.fd);
  guest.write(GPA, Uint8Array.of(7), { access: 'private' });
  const device = mock.dma(iommufd.fd, ioas.id);
  return { host, vm, ram, iommufd, ioas, mock, guest, device };
}

test('the transfer that kills the host gets nothing, and is on record', async () => {
  const { host, mock, device } = await aboutToDie();
  expect(mock.machineCheck).toBeUndefined();
  expect(device.read(GPA, 1)).toEqual(Uint8Array.of(0));
  expect(mock.machineCheck).toMatch(/device used a shared mapping of a page that a TD has/);
  expect(mock.journal.entries.at(-2)).toMatchObject({ step: 'hazard', detail: expect.stringMatching(/machine check/) });
  await host.close();
});

test('every later call ends with MockHostCrashedError, whoever makes it', async () => {
  const { host, vm, ram, ioas, guest, device, mock } = await aboutToDie();
  device.write(GPA, Uint8Array.of(1));
  const calls: (() => Promise<unknown>)[] = [
    () => vm.createGuestMemfd({ size: PAGE }),
    () => vm.tryCreateGuestMemfd({ size: PAGE }),
    () => ram.gmem.tryConvert({ offset: PAGE, size: PAGE, to: 'private' }),
    () => ram.gmem.punchHole({ offset: 0, size: PAGE }),
    () => ram.gmem.stat(),
    () => ram.mapping.tryRead(PAGE, 1),
    () => ram.tryConvert({ offset: PAGE, size: PAGE, to: 'private' }),
    () => ioas.tryUnmapAll(),
    () => host.createVm(),
    () => host.iommufd(),
    () => host.hugePagePools(),
    () => host.raw.tryIoctl(vm.fd, 0xae03, 0),
  ];
  for (const call of calls) await expect(call(), String(call)).rejects.toMatchObject(DIED);
  expect(() => guest.read(GPA, 1)).toThrow('has crashed: the device used a shared mapping');
  expect(() => device.read(GPA, 1)).toThrow('has crashed');
  const error = await ram.gmem.stat().catch((reason: unknown) => reason);
  expect(isMockHostCrashedError(error) && error.machineCheck).toBe(mock.machineCheck);
  await host.close();
});

test('the call that kills the host does not come back', async () => {
  const host = await openHost({ backend: 'mock', kernel: 'rfc-v2', platform: 'tdx', iommu: 'trust-vmm' });
  const vm = await host.createVm({ type: 'tdx' });
  await launch(vm);
  const regions = [{ slot: 0, guestPhysAddr: GPA }];
  const ram = await GuestRam.create(vm, { size: PAGE, initially: 'shared', regions });
  const iommufd = await host.iommufd();
  const ioas = await iommufd.allocIoas();
  await iommufd.test.mockDevice(ioas);
  await ioas.mapFile({ file: ram.gmem, start: 0, length: PAGE, iova: GPA });
  const access = await iommufd.test.access(ioas);
  await ram.gmem.convert({ offset: 0, size: PAGE, to: 'private' });
  host.mock!.guest(vm.fd).write(GPA, Uint8Array.of(7), { access: 'private' });
  await expect(access.tryRead(GPA, new Uint8Array(1), { pinned: true })).rejects.toMatchObject(DIED);
  await host.close();
});

test('what is open can be closed, one by one or with the host, and leaves nothing behind', async () => {
  const one = await aboutToDie();
  one.device.read(GPA, 1);
  for (const thing of [one.ioas, one.ram, one.iommufd, one.vm]) {
    await thing.close();
    expect(thing.closed).toBe(true);
  }
  await one.host.close();
  expect([one.mock.openFds, one.mock.pagesInUse]).toEqual([0, 0]);
  const all = await aboutToDie();
  all.device.read(GPA, 1);
  await all.host.close();
  expect([all.mock.openFds, all.mock.pagesInUse]).toEqual([0, 0]);
});

test('another host lives', async () => {
  const { host, device } = await aboutToDie();
  device.read(GPA, 1);
  const other = await openHost({ backend: 'mock', kernel: 'rfc-v2', platform: 'tdx' });
  await (await other.createVm()).close();
  await other.close();
  await host.close();
});
