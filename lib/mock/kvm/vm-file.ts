/** A VM's fd. */

import { capabilities } from '../../abi/capabilities.ts';
import {
  KVM_MEMORY_ENCRYPT_OP,
  KVM_MEMORY_ENCRYPT_REG_REGION,
  KVM_MEMORY_ENCRYPT_UNREG_REGION,
} from '../../abi/encrypt-op.ts';
import { errno } from '../../abi/errno.ts';
import type { IoctlOut } from '../../abi/ioctl.ts';
import {
  KVM_CHECK_EXTENSION,
  KVM_CREATE_GUEST_MEMFD,
  KVM_ENABLE_CAP,
  KVM_MEM_LOG_DIRTY_PAGES,
  KVM_MEM_READONLY,
  KVM_SET_MEMORY_ATTRIBUTES,
  KVM_SET_USER_MEMORY_REGION,
  KVM_SET_USER_MEMORY_REGION2,
} from '../../abi/kvm.ts';
import { KVM_CREATE_DEVICE } from '../../abi/kvm-device.ts';
import { PAGE_SIZE } from '../../abi/linux.ts';
import { KVM_CREATE_VCPU, KVM_HC_MAP_GPA_RANGE } from '../../abi/vcpu.ts';
import type { Stat } from '../../syscalls/seam.ts';
import { resetState } from '../cpu/index.ts';
import { MockFile, type UserMemory } from '../process/index.ts';
import { checkExtension } from './capabilities.ts';
import { createGuestMemfd } from './create-guest-memfd.ts';
import { Dispatcher } from './dispatch.ts';
import { hasMemoryAttributes, setMemoryAttributes } from './memory-attributes.ts';
import { setMemoryRegion } from './memory-region.ts';
import { VcpuFile } from './vcpu-file.ts';
import { createDevice } from './vfio-file.ts';
import type { Vm } from './vm.ts';

/** Only what the typed API offers; the kernel knows more capabilities to enable (see known-differences.ts). */
function enableCap(vm: Vm, { cap, flags, args }: IoctlOut<typeof KVM_ENABLE_CAP>): number {
  const enable = flags === 0 ? CAPS.get(cap) : undefined;
  return enable ? enable(vm, args[0]!) : -errno.EINVAL;
}

const CAPS: ReadonlyMap<number, (vm: Vm, argument: bigint) => number> = new Map([
  [capabilities.KVM_CAP_EXIT_HYPERCALL.number, exitOnHypercalls],
  [capabilities.KVM_CAP_SPLIT_IRQCHIP.number, splitIrqchip],
]);

function exitOnHypercalls(vm: Vm, hypercalls: bigint): number {
  if (hypercalls & ~(1n << KVM_HC_MAP_GPA_RANGE)) return -errno.EINVAL;
  vm.exitsOnMapGpaRange = hypercalls !== 0n;
  return 0;
}

const KVM_MAX_IRQ_ROUTES = 4096n;

/** The argument is how many pins of an I/O APIC userspace has. */
function splitIrqchip(vm: Vm, pins: bigint): number {
  if (pins > KVM_MAX_IRQ_ROUTES) return -errno.EINVAL;
  if (vm.hasSplitIrqchip || vm.vcpuIds.size > 0) return -errno.EEXIST;
  vm.hasSplitIrqchip = true;
  return 0;
}

/** kvm_vm_ioctl_create_vcpu(): KVM_MAX_VCPU_IDS on x86. */
const MAX_VCPU_IDS = 4096n;

function createVcpu(vm: Vm, id: bigint): number {
  const { fds } = vm.machine;
  if (id >= MAX_VCPU_IDS) return -errno.EINVAL;
  if (vm.machine.faults.failsNow('vcpu')) return -errno.ENOMEM;
  const refusal = vm.hardware.createVcpu(Number(id));
  if (refusal !== 0) return refusal;
  if (vm.vcpuIds.has(Number(id))) return -errno.EEXIST;
  if (fds.isFull) return -errno.EMFILE;
  const vcpu = new VcpuFile(vm, Number(id), resetState());
  vm.vcpuIds.add(vcpu.id);
  return fds.install(vcpu);
}

const V1_FLAGS = KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY;
const NO_GUEST_MEMFD = { guest_memfd_offset: 0n, guest_memfd: 0, pad1: 0, pad2: [] };

const dispatcher = new Dispatcher<Vm>()
  .on(KVM_CHECK_EXTENSION, (vm, number) => checkExtension(vm.machine, vm, number))
  .on(KVM_ENABLE_CAP, enableCap)
  .on(KVM_CREATE_DEVICE, createDevice)
  .on(KVM_CREATE_VCPU, createVcpu)
  .on(KVM_CREATE_GUEST_MEMFD, (vm, { size, flags }) => createGuestMemfd(vm, size, flags))
  .on(KVM_SET_USER_MEMORY_REGION, (vm, region) =>
    region.flags & ~V1_FLAGS ? -errno.EINVAL : setMemoryRegion(vm, { ...region, ...NO_GUEST_MEMFD }),
  )
  .on(KVM_SET_USER_MEMORY_REGION2, setMemoryRegion)
  .on(KVM_SET_MEMORY_ATTRIBUTES, setMemoryAttributes)
  .on(KVM_MEMORY_ENCRYPT_REG_REGION, (vm, { addr, size }) => vm.hardware.registerRegion(addr, size))
  .on(KVM_MEMORY_ENCRYPT_UNREG_REGION, (vm, { addr, size }) => vm.hardware.unregisterRegion(addr, size));

export class VmFile extends MockFile {
  readonly vm: Vm;

  constructor(vm: Vm) {
    super();
    this.vm = vm.get();
  }

  override ioctl(request: number, user: UserMemory): number {
    if (this.vm.refusal !== 0) return this.vm.refusal;
    if (request === KVM_MEMORY_ENCRYPT_OP.request) return this.vm.hardware.command(user);
    if (request === KVM_SET_MEMORY_ATTRIBUTES.request && !hasMemoryAttributes(this.vm.machine)) return -errno.ENOTTY;
    return dispatcher.run(this.vm, request, user, -errno.ENOTTY);
  }

  stat(): Stat {
    return { ino: 1n, mode: 0o600, nlink: 1, size: 0n, blksize: PAGE_SIZE, blocks: 0n };
  }

  override get noExec(): boolean {
    return true;
  }

  protected override release(): void {
    this.vm.put();
  }
}
