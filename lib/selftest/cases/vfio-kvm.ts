/** KVM's VFIO device: which files a VM is told of. */

import {
  type ErrnoName,
  type IoctlIn,
  KVM_CREATE_DEVICE,
  KVM_CREATE_DEVICE_TEST,
  KVM_DEV_TYPE_VFIO,
  KVM_DEV_VFIO_FILE,
  KVM_DEV_VFIO_FILE_ADD,
  KVM_DEV_VFIO_FILE_DEL,
  KVM_GET_DEVICE_ATTR,
  KVM_HAS_DEVICE_ATTR,
  KVM_SET_DEVICE_ATTR,
  kvm_dev_vfio_file,
} from '../../abi/index.ts';
import { eventfd, NO_FD } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { groupOf, iommufd, testDevice } from '../dma.ts';

const requires = { kvmVfio: true } as const;

async function vmVfio(t: T) {
  const vfio = await (await t.vm()).vfio();
  t.defer(() => vfio.close());
  return vfio;
}

const pointingTo = (fd: number): Uint8Array => kvm_dev_vfio_file.encode({ fd });
const fileAttr = (attr: bigint, fd: number) => ({ group: KVM_DEV_VFIO_FILE, attr, addr: pointingTo(fd) });

const one = defineCase({
  name: 'kvm-vfio-one-per-vm',
  about: 'A VM has one VFIO device at most; asking whether it could have one makes none (kvm_vfio_create()).',
  requires,
  async run(t) {
    const vm = await t.vm();
    const test = { type: KVM_DEV_TYPE_VFIO, flags: KVM_CREATE_DEVICE_TEST };
    t.succeeds(
      await t.host.raw.tryIoctl(vm, KVM_CREATE_DEVICE.request, KVM_CREATE_DEVICE.struct.encode(test)),
      'asking',
    );
    const first = t.succeeds(await vm.tryVfio(), 'making the first');
    t.fails(await vm.tryVfio(), 'EBUSY', 'making a second');
    await first.close();
    const other = await t.vm();
    const second = t.succeeds(await other.tryVfio(), 'making one for another VM');
    await second.close();
  },
});

const attributes = defineCase<{ values: IoctlIn<typeof KVM_SET_DEVICE_ATTR>; code: ErrnoName }>({
  name: 'kvm-vfio-attributes',
  about: 'What KVM_SET_DEVICE_ATTR on it refuses (kvm_vfio_set_attr(), kvm_vfio_set_file()).',
  requires,
  variants: {
    'no-such-group': { values: { group: 7, attr: KVM_DEV_VFIO_FILE_ADD }, code: 'ENXIO' },
    'no-such-attribute': { values: { group: KVM_DEV_VFIO_FILE, attr: 9n }, code: 'ENXIO' },
    'null-pointer': { values: { group: KVM_DEV_VFIO_FILE, attr: KVM_DEV_VFIO_FILE_ADD }, code: 'EFAULT' },
    'add-no-file': { values: fileAttr(KVM_DEV_VFIO_FILE_ADD, NO_FD), code: 'EBADF' },
    'delete-no-file': { values: fileAttr(KVM_DEV_VFIO_FILE_DEL, NO_FD), code: 'EBADF' },
  },
  async run(t, { values, code }) {
    const vfio = await vmVfio(t);
    t.fails(await t.host.raw.tryIoctl(vfio, KVM_SET_DEVICE_ATTR, values), code, 'KVM_SET_DEVICE_ATTR');
  },
});

const otherFiles = defineCase({
  name: 'kvm-vfio-other-files',
  about: 'A file that is no VFIO file is EINVAL to add, and ENOENT to delete; nothing can be read back (EPERM).',
  requires,
  async run(t) {
    const vfio = await vmVfio(t);
    const set = async (attr: bigint, fd: number) => t.host.raw.tryIoctl(vfio, KVM_SET_DEVICE_ATTR, fileAttr(attr, fd));
    const fd = await eventfd(t);
    t.fails(await set(KVM_DEV_VFIO_FILE_ADD, fd), 'EINVAL', 'adding an eventfd');
    t.fails(await set(KVM_DEV_VFIO_FILE_DEL, fd), 'ENOENT', 'deleting an eventfd');
    const get = { group: KVM_DEV_VFIO_FILE, attr: KVM_DEV_VFIO_FILE_ADD, addr: new Uint8Array(8) };
    t.fails(await t.host.raw.tryIoctl(vfio, KVM_GET_DEVICE_ATTR, get), 'EPERM', 'reading');
  },
});

const has = defineCase({
  name: 'kvm-vfio-has',
  about: 'KVM_HAS_DEVICE_ATTR tells which attributes there are (kvm_vfio_has_attr()).',
  requires,
  async run(t) {
    const vfio = await vmVfio(t);
    const ask = (group: number, attr: bigint) => t.host.raw.tryIoctl(vfio, KVM_HAS_DEVICE_ATTR, { group, attr });
    t.succeeds(await ask(KVM_DEV_VFIO_FILE, KVM_DEV_VFIO_FILE_ADD), 'whether files can be added');
    t.succeeds(await ask(KVM_DEV_VFIO_FILE, KVM_DEV_VFIO_FILE_DEL), 'whether they can be deleted');
    t.fails(await ask(KVM_DEV_VFIO_FILE, 9n), 'ENXIO', 'whether there is an attribute 9');
    t.fails(await ask(7, KVM_DEV_VFIO_FILE_ADD), 'ENXIO', 'whether there is a group 7');
  },
});

const iommufdFile = defineCase({
  name: 'kvm-vfio-iommufd',
  about: 'An iommufd is no VFIO file.',
  requires: { ...requires, iommufd: true },
  async run(t) {
    const vfio = await vmVfio(t);
    const file = await iommufd(t);
    const values = fileAttr(KVM_DEV_VFIO_FILE_ADD, file.fd);
    t.fails(await t.host.raw.tryIoctl(vfio, KVM_SET_DEVICE_ATTR, values), 'EINVAL', 'adding it');
  },
});

const files = defineCase<'group' | 'device'>({
  name: 'kvm-vfio-files',
  about: 'A group, and a device by its own file, are added once and deleted once.',
  requires: (kind) => ({ ...requires, vfioDevice: 'any', ...(kind === 'device' && { iommufd: true as const }) }),
  variants: { group: 'group', device: 'device' },
  async run(t, kind) {
    const vfio = await vmVfio(t);
    const { vfio: host } = t.host;
    const file = kind === 'group' ? await host.openGroup(await groupOf(t)) : await host.openDevice(testDevice(t));
    t.defer(() => file.close());
    t.succeeds(await vfio.tryAdd(file), 'adding it');
    t.fails(await vfio.tryAdd(file), 'EEXIST', 'adding it again');
    t.succeeds(await vfio.tryRemove(file), 'deleting it');
    t.fails(await vfio.tryRemove(file), 'ENOENT', 'deleting it again');
    t.succeeds(await vfio.tryAdd(file), 'adding it after that');
  },
});

export const cases: readonly AnyCase[] = [one, attributes, otherFiles, has, iommufdFile, files];
