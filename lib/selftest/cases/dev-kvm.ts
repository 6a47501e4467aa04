/** /dev/kvm itself: what it says of the system, and VMs that cannot be had. */

import {
  type ErrnoName,
  type IoctlIn,
  KVM_CREATE_VM,
  KVM_GET_DEVICE_ATTR,
  KVM_GET_VCPU_MMAP_SIZE,
  KVM_HAS_DEVICE_ATTR,
  KVM_X86_GRP_SEV,
  KVM_X86_SEV_VMSA_FEATURES,
  PAGE_SIZE,
  requestName,
  S_IFCHR,
  S_IFMT,
} from '../../abi/index.ts';
import { anonymous, answered } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';

const P = BigInt(PAGE_SIZE);
/** Of no machine type that there is. */
const NO_TYPE = 31;
const X87_AND_SSE = 3;

const attributes = defineCase<{ values: IoctlIn<typeof KVM_HAS_DEVICE_ATTR>; code?: ErrnoName }>({
  name: 'dev-kvm-has-attribute',
  about: 'An attribute of the system is there, or ENXIO: group 0 is KVM’s, 1 is SEV’s (__kvm_x86_dev_get_attr()).',
  variants: {
    'extended-features': { values: { group: 0, attr: 0n } },
    'unknown-of-kvm': { values: { group: 0, attr: 77n }, code: 'ENXIO' },
    'unknown-of-sev': { values: { group: KVM_X86_GRP_SEV, attr: 77n }, code: 'ENXIO' },
    'unknown-group': { values: { group: 77, attr: KVM_X86_SEV_VMSA_FEATURES }, code: 'ENXIO' },
  },
  async run(t, { values, code }) {
    const { raw, fd } = t.host;
    const addr = await anonymous(t, PAGE_SIZE);
    for (const ioctl of [KVM_HAS_DEVICE_ATTR, KVM_GET_DEVICE_ATTR]) {
      const outcome = await raw.tryIoctl(fd, ioctl, { ...values, addr });
      if (code) t.fails(outcome, code, requestName(ioctl));
      else t.equal(t.succeeds(outcome, requestName(ioctl)).ret, 0, 'what it returns');
    }
  },
});

const value = defineCase({
  name: 'dev-kvm-attribute',
  about: 'Extended features of guests have x87 and SSE; what cannot be written is EFAULT (kvm_x86_dev_get_attr()).',
  async run(t) {
    const { raw, fd } = t.host;
    const addr = await anonymous(t, PAGE_SIZE);
    t.succeeds(await raw.tryIoctl(fd, KVM_GET_DEVICE_ATTR, { addr }), 'asking for the features');
    const bytes = new Uint8Array(1);
    await raw.syscalls.copyOut(addr, bytes);
    t.equal(bytes[0]! & X87_AND_SSE, X87_AND_SSE, 'x87 and SSE of them');
    t.fails(await raw.tryIoctl(fd, KVM_GET_DEVICE_ATTR, { addr: P }), 'EFAULT', 'asking where nothing is');
  },
});

const file = defineCase({
  name: 'dev-kvm-is-a-device',
  about: 'A character device, which cannot be read, and not for want of a position: EINVAL (vfs_read()).',
  async run(t) {
    const { raw, fd } = t.host;
    const stat = await raw.syscalls.fstat(fd);
    if (typeof stat === 'number') return t.fail('fstat', [`got ${stat}`]);
    t.equal(stat.mode & S_IFMT, S_IFCHR, 'its kind');
    t.equal(stat.nlink, 1, 'its links');
    t.fails(answered(await raw.syscalls.pread(fd, new Uint8Array(1), 0n)), 'EINVAL', 'reading it');
    const size = t.succeeds(await raw.tryIoctl(fd, KVM_GET_VCPU_MMAP_SIZE, 0), 'the size of a run area').ret;
    t.equal(size % PAGE_SIZE, 0, 'what is over of its pages');
    t.fails(await raw.tryIoctl(fd, KVM_GET_VCPU_MMAP_SIZE, 1), 'EINVAL', 'the same with an argument');
  },
});

const fdLimit = defineCase({
  name: 'create-vm-without-free-descriptors',
  about: 'A descriptor is looked for before the machine type: EMFILE (kvm_dev_ioctl_create_vm()).',
  // On a real kernel this process itself could not go on without descriptors.
  requires: { faults: true },
  async run(t) {
    const { raw, fd } = t.host;
    const { syscalls } = raw;
    const copies: number[] = [];
    t.defer(() => Promise.all(copies.map((copy) => syscalls.close(copy))));
    for (let copy = await syscalls.dup(fd); copy >= 0; copy = await syscalls.dup(fd)) copies.push(copy);
    t.fails(await raw.tryIoctl(fd, KVM_CREATE_VM, NO_TYPE), 'EMFILE', 'a VM of no type without a free descriptor');
    await syscalls.close(copies.pop()!);
    t.fails(await raw.tryIoctl(fd, KVM_CREATE_VM, NO_TYPE), 'EINVAL', 'a VM of no type with one');
    await (await t.host.createVm()).close();
  },
});

const noMemory = defineCase({
  name: 'create-vm-without-memory',
  about: 'Memory for a VM is looked for before its machine type: ENOMEM (kvm_create_vm()).',
  requires: { faults: true },
  async run(t) {
    const { raw, fd } = t.host;
    const before = t.mock.openFds;
    for (const type of [NO_TYPE, 0]) {
      t.mock.faults.failAllocation(1, 'vm');
      t.fails(await raw.tryIoctl(fd, KVM_CREATE_VM, type), 'ENOMEM', `a VM of type ${type} without memory`);
    }
    t.equal(t.mock.openFds, before, 'descriptors open after that');
    await (await t.host.createVm()).close();
  },
});

export const cases: readonly AnyCase[] = [attributes, value, file, fdLimit, noMemory];
