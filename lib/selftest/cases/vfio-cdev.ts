/** A device’s own file: who may have it, and what it is attached to. */

import {
  type ErrnoName,
  type IoctlIn,
  VFIO_DEVICE_ATTACH_IOMMUFD_PT,
  VFIO_DEVICE_BIND_IOMMUFD,
} from '../../abi/index.ts';
import { eventfd, NO_FD } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { cdev, groupOf, IOVA, iommufd, memory, PAGE, rawMap, testDevice } from '../dma.ts';

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
    t.equal(device.deviceId, undefined, 'its number on an iommufd');
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

export const cases: readonly AnyCase[] = [beforeBind, bind, bindOnce, groupOrCdev, attach, attachLate];
