/** The device by which KVM is told of VFIO files: virt/kvm/vfio.c and kvm_ioctl_create_device(). */

import { errno } from '../../abi/errno.ts';
import type { IoctlOut } from '../../abi/ioctl.ts';
import {
  type KVM_CREATE_DEVICE,
  KVM_CREATE_DEVICE_TEST,
  KVM_DEV_TYPE_VFIO,
  KVM_DEV_VFIO_FILE,
  KVM_DEV_VFIO_FILE_ADD,
  KVM_DEV_VFIO_FILE_DEL,
  KVM_GET_DEVICE_ATTR,
  KVM_HAS_DEVICE_ATTR,
  KVM_SET_DEVICE_ATTR,
  kvm_dev_vfio_file,
} from '../../abi/kvm-device.ts';
import { PAGE_SIZE } from '../../abi/linux.ts';
import type { Stat } from '../../syscalls/seam.ts';
import { MockFile, type UserMemory } from '../process/index.ts';
import { Dispatcher, type WriteBack } from './dispatch.ts';
import type { Vm } from './vm.ts';

type Create = typeof KVM_CREATE_DEVICE;

export function createDevice(vm: Vm, asked: IoctlOut<Create>, writeBack: WriteBack<Create>): number {
  if (asked.type !== KVM_DEV_TYPE_VFIO) return -errno.ENODEV;
  if (asked.flags & KVM_CREATE_DEVICE_TEST) return writeBack(asked);
  if (vm.hasVfioDevice) return -errno.EBUSY;
  const { fds } = vm.machine;
  if (fds.isFull) return -errno.EMFILE;
  return writeBack({ ...asked, fd: fds.install(new KvmVfioFile(vm)) });
}

export class KvmVfioFile extends MockFile {
  readonly vm: Vm;
  /** Those that KVM was told of, and holds. */
  readonly files = new Set<MockFile>();

  constructor(vm: Vm) {
    super();
    this.vm = vm.get();
    vm.hasVfioDevice = true;
  }

  override ioctl(request: number, user: UserMemory): number {
    if (this.vm.refusal !== 0) return this.vm.refusal;
    // Without a way to get attributes the struct is not even read.
    if (request === KVM_GET_DEVICE_ATTR.request) return -errno.EPERM;
    return dispatcher.run(this, request, user, -errno.ENOTTY);
  }

  stat(): Stat {
    return { ino: 1n, mode: 0o600, nlink: 1, size: 0n, blksize: PAGE_SIZE, blocks: 0n };
  }

  override get noExec(): boolean {
    return true;
  }

  protected override release(): void {
    for (const file of this.files) file.put();
    this.vm.hasVfioDevice = false;
    this.vm.put();
  }
}

const CHANGES = new Map([
  [KVM_DEV_VFIO_FILE_ADD, add],
  [KVM_DEV_VFIO_FILE_DEL, remove],
]);

const dispatcher = new Dispatcher<KvmVfioFile>()
  .on(KVM_SET_DEVICE_ATTR, (device, { group, attr, addr }) => {
    const change = group === KVM_DEV_VFIO_FILE ? CHANGES.get(attr) : undefined;
    if (!change) return -errno.ENXIO;
    const { machine } = device.vm;
    const bytes = machine.addressSpace.argumentAt(addr).read(kvm_dev_vfio_file.size);
    if (!bytes) return -errno.EFAULT;
    const file = machine.fds.get(kvm_dev_vfio_file.decode(bytes).fd);
    return file ? change(device, file) : -errno.EBADF;
  })
  .on(KVM_HAS_DEVICE_ATTR, (_, { group, attr }) =>
    group === KVM_DEV_VFIO_FILE && CHANGES.has(attr) ? 0 : -errno.ENXIO,
  );

function add({ files }: KvmVfioFile, file: MockFile): number {
  if (!file.isVfio) return -errno.EINVAL;
  if (files.has(file)) return -errno.EEXIST;
  files.add(file.get());
  return 0;
}

function remove({ files }: KvmVfioFile, file: MockFile): number {
  if (!files.delete(file)) return -errno.ENOENT;
  file.put();
  return 0;
}
