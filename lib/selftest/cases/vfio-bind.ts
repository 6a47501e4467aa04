/** Devices that are lent to vfio-pci, and what stands in the way. */

import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { iommufd, testDevice } from '../dma.ts';

const lending = defineCase({
  name: 'vfio-bind-and-give-back',
  about: 'A device is lent to vfio-pci and given back as it was; while it is open, or in use, nothing is changed.',
  requires: { iommufd: true, vfioDevice: 'edu' },
  async run(t) {
    const address = testDevice(t);
    const { vfio } = t.host;
    const driver = async () => (await vfio.device(address))?.driver;
    // Whoever runs the tests gave it to vfio-pci; without a driver it is in nobody's hands.
    await writeSysfs(t, '/sys/bus/pci/drivers/vfio-pci/unbind', address);
    t.defer(() => writeSysfs(t, '/sys/bus/pci/drivers/vfio-pci/bind', address));
    t.equal(await driver(), undefined, 'its driver at first');
    const lent = t.succeeds(await vfio.tryBind(address), 'lending it');
    t.equal(await driver(), 'vfio-pci', 'its driver then');
    const again = t.succeeds(await vfio.tryBind(address), 'lending it again');
    const device = await vfio.openDevice(address, { iommufd: await iommufd(t) });
    t.succeeds(await again.tryClose(), 'ending the second loan, which changed nothing, while it is open');
    t.equal(await driver(), 'vfio-pci', 'its driver after the second loan ended');
    await t.throws(() => lent.close(), 'ERR_DEVICE_IN_USE', 'giving it back while it is open');
    await device.close();
    await lent.close();
    t.equal(await driver(), undefined, 'its driver when it was given back');
  },
});

/** As a shell does it. */
async function writeSysfs(t: T, path: string, text: string): Promise<void> {
  const { syscalls } = t.host.raw;
  const fd = await syscalls.open(path, 1);
  if (fd < 0) return;
  await syscalls.write(fd, Buffer.from(text));
  await syscalls.close(fd);
}

const inUse = defineCase({
  name: 'vfio-bind-in-use',
  about:
    'A device that a driver has is refused, and so is one that is not there; the refusal names what is in the way.',
  requires: { vfioDevice: 'any' },
  async run(t) {
    const { vfio } = t.host;
    await t.throws(() => vfio.bind('0000:ff:1f.7'), 'ERR_UNSUPPORTED', 'lending a device that is not there');
    const devices = await vfio.devices();
    t.ok(devices.length > 0, 'devices');
    const used = devices.find(
      ({ driver, group }) => driver !== undefined && driver !== 'vfio-pci' && group !== undefined,
    );
    if (used) {
      await t.throws(
        () => vfio.bind(used.address),
        'ERR_DEVICE_IN_USE',
        `lending ${used.address}, which ${used.driver} has`,
      );
      t.equal((await vfio.device(used.address))?.driver, used.driver, 'its driver afterwards');
    }
    for (const { number, devices: members } of await vfio.groups()) {
      t.ok(
        members.every(({ group }) => group === number),
        `whether the devices of group ${number} are in it`,
      );
    }
  },
});

export const cases: readonly AnyCase[] = [lending, inUse];
