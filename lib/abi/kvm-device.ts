/**
 * KVM's devices: files made by a VM and configured by attributes. The one used here tells KVM which VFIO files belong
 * to the VM. Source: include/uapi/linux/kvm.h and Documentation/virt/kvm/devices/ of Linux 7.3.4.
 */

import { iow, iowr } from './ioctl.ts';
import { KVMIO } from './kvm.ts';
import { pointer } from './pointer.ts';
import { i32, struct, u32, u64 } from './struct.ts';

export const KVM_CREATE_DEVICE = iowr(
  'vm',
  KVMIO,
  0xe0,
  struct('kvm_create_device', { type: u32, fd: u32, flags: u32 }),
  {
    capability: 'KVM_CAP_DEVICE_CTRL',
    newFd: 'fd',
  },
);

/** Asks whether the type exists, and makes nothing. */
export const KVM_CREATE_DEVICE_TEST = 1;

/** An attribute's value is as long as the attribute says; 8 bytes hold those of every device that is not a table. */
const kvm_device_attr = (valueBytes: number) =>
  struct('kvm_device_attr', { flags: u32, group: u32, attr: u64, addr: pointer(valueBytes) });

export const KVM_SET_DEVICE_ATTR = iow('kvm-device', KVMIO, 0xe1, kvm_device_attr(0), {
  capability: 'KVM_CAP_DEVICE_CTRL',
});
/** On /dev/kvm itself: attributes of the host, in a group of the vendor's (`sev.ts`) or 0. */
export const KVM_GET_DEVICE_ATTR = iow(['kvm-device', 'system'], KVMIO, 0xe2, kvm_device_attr(8), {
  capability: 'KVM_CAP_DEVICE_CTRL',
});
export const KVM_HAS_DEVICE_ATTR = iow(['kvm-device', 'system'], KVMIO, 0xe3, kvm_device_attr(0), {
  capability: 'KVM_CAP_DEVICE_CTRL',
});

export const KVM_DEV_TYPE_VFIO = 4;
export const KVM_DEV_VFIO_FILE = 1;
export const KVM_DEV_VFIO_FILE_ADD = 1n;
export const KVM_DEV_VFIO_FILE_DEL = 2n;
export const KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE = 3n;

/** What `addr` points to for KVM_DEV_VFIO_FILE. */
export const kvm_dev_vfio_file = struct('kvm_dev_vfio_file', { fd: i32 });
