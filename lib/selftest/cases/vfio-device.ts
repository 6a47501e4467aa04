/** A device’s own file, its regions and interrupts, and who may have it. */

import {
  type ErrnoName,
  type IoctlIn,
  VFIO_DEVICE_ATTACH_IOMMUFD_PT,
  VFIO_DEVICE_BIND_IOMMUFD,
  VFIO_DEVICE_FEATURE,
  VFIO_DEVICE_FEATURE_GET,
  VFIO_DEVICE_FEATURE_SET,
  VFIO_DEVICE_GET_INFO,
} from '../../abi/index.ts';
import { eventfd, NO_FD } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { cdev, edu, groupOf, IOVA, iommufd, memory, PAGE, rawMap, testDevice } from '../dma.ts';

const requires = { iommufd: true, vfioDevice: 'any' } as const;

/** The device's own file, not bound yet. */
async function unbound(t: T) {
  const device = await t.host.vfio.openDevice(testDevice(t));
  t.defer(() => device.close());
  return device;
}

const beforeBind = defineCase({
  name: 'vfio-cdev-before-bind',
  about: 'A device’s own file answers EINVAL to all but BIND until it is bound (vfio_device_fops_unl_ioctl()).',
  requires,
  async run(t) {
    const device = await unbound(t);
    t.fails(await device.tryInfo(), 'EINVAL', 'info');
    t.fails(await device.tryRegion('bar0'), 'EINVAL', 'a region');
    t.fails(await device.tryReset(), 'EINVAL', 'reset');
    t.fails(await device.tryDetach(), 'EINVAL', 'detach');
    t.fails(await t.host.raw.tryIoctl(device, 0x3bff, new Uint8Array(64)), 'EINVAL', 'what it does not know');
    await t.throws(() => device.deviceId, 'ERR_INVALID_ARG_TYPE', 'its number on an iommufd');
  },
});

const bind = defineCase<{ values: IoctlIn<typeof VFIO_DEVICE_BIND_IOMMUFD>; file?: 'eventfd'; code: ErrnoName }>({
  name: 'vfio-cdev-bind',
  about: 'What VFIO_DEVICE_BIND_IOMMUFD refuses (vfio_df_ioctl_bind_iommufd()).',
  requires,
  variants: {
    'argsz-too-small': { values: { argsz: 15 }, code: 'EINVAL' },
    'unknown-flag': { values: { flags: 2 }, code: 'EINVAL' },
    'no-iommufd': { values: { iommufd: -1 }, code: 'EINVAL' },
    'no-file': { values: { iommufd: NO_FD }, code: 'EBADF' },
    'another-file': { values: {}, file: 'eventfd', code: 'EBADFD' },
  },
  async run(t, { values, file, code }) {
    const device = await unbound(t);
    const on = await iommufd(t);
    const fd = file ? await eventfd(t) : on.fd;
    t.fails(await t.host.raw.tryIoctl(device, VFIO_DEVICE_BIND_IOMMUFD, { iommufd: fd, ...values }), code, 'binding');
    t.succeeds(await device.tryBind(on), 'binding after that');
  },
});

const bindOnce = defineCase({
  name: 'vfio-cdev-bind-once',
  about: 'A device is bound once, by one file; its number goes with the file that bound it.',
  requires,
  async run(t) {
    const file = await iommufd(t);
    const device = await unbound(t);
    t.succeeds(await device.tryBind(file), 'binding');
    t.fails(await device.tryBind(file), 'EINVAL', 'binding again');
    const second = await unbound(t);
    t.fails(await second.tryBind(file), 'EINVAL', 'binding by a second file');
    const deviceId = device.deviceId!;
    t.fails(await file.tryDestroy(deviceId), 'EBUSY', 'destroying its number');
    await device.close();
    t.fails(await file.tryDestroy(deviceId), 'ENOENT', 'destroying its number after it was closed');
    t.succeeds(await second.tryBind(file), 'binding by the second file now');
  },
});

const groupOrCdev = defineCase({
  name: 'vfio-cdev-or-group',
  about: 'A device is had through its group or by its own file, never by both.',
  requires: { ...requires, vfioContainer: true },
  async run(t) {
    const file = await iommufd(t);
    const own = await cdev(t, file);
    const number = await groupOf(t);
    t.fails(await t.host.vfio.tryOpenGroup(number), 'EBUSY', 'opening the group while the device is bound');
    await own.close();
    const group = await t.host.vfio.openGroup(number);
    t.defer(() => group.close());
    const container = await t.host.vfio.openContainer();
    t.defer(() => container.close());
    await group.setContainer(container);
    await container.setIommu('type1v2');
    const device = await group.openDevice(testDevice(t));
    t.defer(() => device.close());
    t.fails(await (await unbound(t)).tryBind(file), 'EBUSY', 'binding while it is open through its group');
    t.fails(await device.tryBind(file), 'EINVAL', 'binding what was opened through its group');
    const attach = await t.host.raw.tryIoctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, { pt_id: 1 });
    t.fails(attach, 'ENOTTY', 'attaching what was opened through its group');
  },
});

const attach = defineCase<{ values: IoctlIn<typeof VFIO_DEVICE_ATTACH_IOMMUFD_PT> | 'device'; code: ErrnoName }>({
  name: 'vfio-cdev-attach',
  about: 'What VFIO_DEVICE_ATTACH_IOMMUFD_PT refuses (vfio_df_ioctl_attach_pt()).',
  requires,
  variants: {
    'argsz-too-small': { values: { argsz: 11 }, code: 'EINVAL' },
    'unknown-flag': { values: { flags: 2 }, code: 'EINVAL' },
    'no-such-id': { values: { pt_id: 9999 }, code: 'ENOENT' },
    'id-of-a-device': { values: 'device', code: 'EINVAL' },
  },
  async run(t, { values, code }) {
    const file = await iommufd(t);
    const space = await file.allocIoas();
    const device = await cdev(t, file);
    const asked = values === 'device' ? { pt_id: device.deviceId! } : { pt_id: space.id, ...values };
    t.fails(await t.host.raw.tryIoctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, asked), code, 'attaching');
    const table = t.succeeds(await device.tryAttach(space), 'attaching after that');
    t.notEqual(table, space.id, 'the id of the page table');
    t.fails(await space.tryClose(), 'EBUSY', 'destroying the address space');
    t.succeeds(await device.tryDetach(), 'detaching');
    t.fails(await file.tryDestroy(table), 'ENOENT', 'destroying the page table after that');
  },
});

const attachLate = defineCase({
  name: 'vfio-cdev-attach-misfit',
  about:
    'What is mapped already must be within the device’s reach and aligned for its IOMMU: EADDRINUSE; and be there: EFAULT.',
  requires,
  async run(t) {
    const file = await iommufd(t);
    const device = await cdev(t, file);
    const mapping = await memory(t, 1);
    const misfits = [
      ['not aligned', { user_va: mapping.address, length: 2048n, iova: IOVA }, 'EADDRINUSE'],
      ['out of reach', { user_va: mapping.address, length: PAGE, iova: 0xfee0_0000n }, 'EADDRINUSE'],
      ['not there', { user_va: 0x1000n, length: PAGE, iova: IOVA }, 'EFAULT'],
    ] as const;
    for (const [what, values, code] of misfits) {
      const space = await file.allocIoas();
      t.succeeds(await rawMap(t, space, file, values), `mapping memory that is ${what}`);
      t.fails(await device.tryAttach(space), code, `attaching to memory that is ${what}`);
      t.equal((await space.iovaRanges()).alignment, 1n, 'the alignment afterwards');
    }
    t.succeeds(await device.tryAttach(await file.allocIoas()), 'attaching to an empty one');
  },
});

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

const lending = defineCase({
  name: 'vfio-bind-and-give-back',
  about: 'A device is lent to vfio-pci and given back as it was; while it is open, or in use, nothing is changed.',
  requires: { ...requires, vfioDevice: 'edu' },
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
    await again.close();
    t.equal(await driver(), 'vfio-pci', 'its driver after the second loan ended');
    const device = await vfio.openDevice(address, { iommufd: await iommufd(t) });
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

export const cases: readonly AnyCase[] = [
  beforeBind,
  bind,
  bindOnce,
  groupOrCdev,
  attach,
  attachLate,
  info,
  features,
  registers,
  closing,
  lending,
  inUse,
];
