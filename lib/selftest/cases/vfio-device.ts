/** A device’s regions, features and registers, and what is left of it when it is closed. */

import {
  VFIO_DEVICE_FEATURE,
  VFIO_DEVICE_FEATURE_GET,
  VFIO_DEVICE_FEATURE_SET,
  VFIO_DEVICE_GET_INFO,
} from '../../abi/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { cdev, edu, iommufd, PAGE, testDevice } from '../dma.ts';

const requires = { iommufd: true, vfioDevice: 'any' } as const;

const info = defineCase({
  name: 'vfio-device-info',
  about:
    'VFIO_DEVICE_GET_INFO tells a PCI device’s nine regions and five interrupts; argsz must hold the first four fields.',
  requires,
  async run(t) {
    const device = await cdev(t, await iommufd(t));
    const { isPci, regions, irqs, canReset } = await device.info();
    t.equal([isPci, regions, irqs], [true, 9, 5], 'what it is');
    t.fails(
      await t.host.raw.tryIoctl(device, VFIO_DEVICE_GET_INFO, { argsz: 15 }),
      'EINVAL',
      'with too small an argsz',
    );
    if (!canReset) t.fails(await device.tryReset(), 'EINVAL', 'resetting what cannot be reset');
    t.fails(await device.tryRegion(9), 'EINVAL', 'a region there is not');
    t.fails(await device.tryIrqInfo(5), 'EINVAL', 'an interrupt there is not');
    const config = await device.region('config');
    t.ok(
      config.readable && config.writeable && !config.mappable,
      'whether the configuration can be read and written, not mapped',
    );
    const found = await t.host.vfio.device(testDevice(t));
    t.equal(await config.read(0, 2), BigInt(found!.vendor), 'the vendor in the configuration');
    t.equal(await config.read(2, 2), BigInt(found!.device), 'the device in the configuration');
    t.equal(await config.read(0, 4), BigInt((found!.device << 16) | found!.vendor) & 0xffff_ffffn, 'both at once');
  },
});

const features = defineCase({
  name: 'vfio-device-features',
  about:
    'A feature that a device does not have is ENOTTY; to get and to set at once is EINVAL (vfio_ioctl_device_feature()).',
  requires,
  async run(t) {
    const device = await cdev(t, await iommufd(t));
    t.equal(await device.hasFeature('MIGRATION', 'get'), false, 'whether it can be migrated');
    t.fails(await device.tryFeature(0xffff, 'get', new Uint8Array(8)), 'ENOTTY', 'a feature there is not');
    const both = { flags: VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET | 1 };
    t.fails(await t.host.raw.tryIoctl(device, VFIO_DEVICE_FEATURE, both), 'EINVAL', 'getting and setting at once');
    t.fails(await t.host.raw.tryIoctl(device, VFIO_DEVICE_FEATURE, { argsz: 7 }), 'EINVAL', 'with too small an argsz');
  },
});

const registers = defineCase({
  name: 'vfio-device-registers',
  about:
    'Registers are read and written one access each, of the width that is asked for; wrong use never reaches the device.',
  requires: { ...requires, vfioDevice: 'edu' },
  async run(t) {
    const device = await cdev(t, await iommufd(t));
    const engine = edu(device);
    t.equal((await engine.id()) & 0xff, 0xed, 'its identification');
    t.equal(await engine.liveness(0x1234_5678), 0xedcb_a987, 'the complement of a number');
    const bar = await device.region('bar0');
    await t.throws(() => bar.read(2, 4), 'ERR_OUT_OF_RANGE', 'reading what is not aligned');
    await t.throws(() => bar.read(bar.size, 4), 'ERR_OUT_OF_RANGE', 'reading past the end');
    await t.throws(() => bar.write(4, 4, 1n << 32n), 'ERR_OUT_OF_RANGE', 'writing what does not fit');
    const rom = await device.region('rom');
    await t.throws(() => rom.read(0, 4), 'ERR_OUT_OF_RANGE', 'reading a region that is not there');
    // Accesses of another width than the device has registers answer ones; what counts is that nothing breaks.
    const mapping = t.succeeds(await bar.tryMap({ size: PAGE }), 'mapping');
    t.succeeds(await mapping.tryRead(0, 64), 'copying out of it');
    await mapping.close();
  },
});

const closing = defineCase({
  name: 'vfio-device-closing',
  about: 'Device, address space and iommufd close in any order; what is used after that asks nothing of the kernel.',
  requires,
  async run(t) {
    const orders = [
      [0, 1, 2],
      [2, 1, 0],
      [1, 2, 0],
    ] as const;
    for (const order of orders) {
      const file = await t.host.iommufd();
      const space = await file.allocIoas();
      const device = await t.host.vfio.openDevice(testDevice(t), { iommufd: file });
      await device.attach(space);
      const region = await device.region('config');
      const things = [device, space, file];
      for (const i of order) {
        const closed = await things[i]!.close().then(
          () => 'closed',
          (error: { code: string }) => error.code,
        );
        // An address space that a device is attached to is not destroyed; it goes with the iommufd.
        const refused = i === 1 && order[0] === 1;
        t.equal(closed, refused ? 'EBUSY' : 'closed', `closing ${i} in the order ${order.join(', ')}`);
      }
      await t.throws(() => region.read(0, 2), 'ERR_CLOSED', 'reading a region');
      await t.throws(() => device.info(), 'ERR_CLOSED', 'asking the device');
      await t.throws(() => space.unmapAll(), 'ERR_CLOSED', 'unmapping');
      await t.throws(() => file.allocIoas(), 'ERR_CLOSED', 'making an address space');
    }
  },
});

export const cases: readonly AnyCase[] = [info, features, registers, closing];
