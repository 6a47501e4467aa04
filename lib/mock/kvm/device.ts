/** /dev/kvm. */

import { errno } from '../../abi/errno.ts';
import type { IoctlOut } from '../../abi/ioctl.ts';
import { KVM_API_VERSION, KVM_CHECK_EXTENSION, KVM_CREATE_VM, KVM_GET_API_VERSION } from '../../abi/kvm.ts';
import { KVM_GET_DEVICE_ATTR, KVM_HAS_DEVICE_ATTR } from '../../abi/kvm-device.ts';
import { PAGE_SIZE, S_IFCHR } from '../../abi/linux.ts';
import { KVM_X86_GRP_SEV } from '../../abi/sev.ts';
import { KVM_GET_SUPPORTED_CPUID, KVM_GET_VCPU_MMAP_SIZE } from '../../abi/vcpu.ts';
import type { Stat } from '../../syscalls/seam.ts';
import { machineTypes } from '../platform/index.ts';
import { MockFile, type UserMemory } from '../process/index.ts';
import { checkExtension } from './capabilities.ts';
import { Dispatcher } from './dispatch.ts';
import type { Machine } from './machine.ts';
import { RUN_AREA_PAGES } from './run-area.ts';
import { Vm } from './vm.ts';
import { VmFile } from './vm-file.ts';

function createVm(machine: Machine, type: bigint): number {
  const supported = machineTypes(machine.platform.machineTypes, machine.profile.softwareProtectedVms);
  if (machine.fds.isFull) return -errno.EMFILE;
  if (machine.faults.failsNow('vm')) return -errno.ENOMEM;
  if (type >= 32n || !(supported & (1 << Number(type)))) return -errno.EINVAL;
  return machine.fds.install(new VmFile(new Vm(machine, Number(type))));
}

/** x87, SSE and AVX: KVM_X86_XCOMP_GUEST_SUPP. */
const GUEST_XCR0 = 7n;

/** __kvm_x86_dev_get_attr(): group 0 is KVM's own, the others the vendor's. */
function attribute({ platform }: Machine, group: number, attr: bigint): bigint | undefined {
  if (group === 0) return attr === 0n ? GUEST_XCR0 : undefined;
  return group === KVM_X86_GRP_SEV ? platform.attribute?.(attr) : undefined;
}

function getAttribute(machine: Machine, { group, attr, addr }: IoctlOut<typeof KVM_GET_DEVICE_ATTR>): number {
  const value = attribute(machine, group, attr);
  if (value === undefined) return -errno.ENXIO;
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return machine.addressSpace.copyIn(addr, bytes) === bytes.length ? 0 : -errno.EFAULT;
}

const dispatcher = new Dispatcher<Machine>()
  .on(KVM_GET_API_VERSION, (_machine, value) => (value === 0n ? KVM_API_VERSION : -errno.EINVAL))
  .on(KVM_CREATE_VM, createVm)
  .on(KVM_GET_VCPU_MMAP_SIZE, (_machine, value) => (value === 0n ? RUN_AREA_PAGES * PAGE_SIZE : -errno.EINVAL))
  // The mock's CPU has no features to tell apart: no entries.
  .on(KVM_GET_SUPPORTED_CPUID, (_machine, _args, writeBack) => writeBack({ nent: 0, padding: 0 }))
  .on(KVM_GET_DEVICE_ATTR, getAttribute)
  .on(KVM_HAS_DEVICE_ATTR, (machine, { group, attr }) =>
    attribute(machine, group, attr) === undefined ? -errno.ENXIO : 0,
  )
  .on(KVM_CHECK_EXTENSION, (machine, number) => checkExtension(machine, undefined, number));

export class KvmDevice extends MockFile {
  readonly #machine: Machine;

  constructor(machine: Machine) {
    super();
    this.#machine = machine;
  }

  /** Unknown requests go to kvm_arch_dev_ioctl(), which says EINVAL and not ENOTTY. */
  override ioctl(request: number, user: UserMemory): number {
    return dispatcher.run(this.#machine, request, user, -errno.EINVAL);
  }

  /** Opened by its path, and so like any file; that it cannot be read is another matter. */
  override get hasPositions(): boolean {
    return true;
  }

  stat(): Stat {
    return { ino: 2n, mode: S_IFCHR | 0o660, nlink: 1, size: 0n, blksize: PAGE_SIZE, blocks: 0n };
  }
}
