/** vCPUs that block in KVM_RUN without running anything: a second vCPU waits for INIT from the first one. */

import { io } from '../../../lib/abi/ioctl.ts';
import { KVMIO } from '../../../lib/abi/kvm.ts';
import { O_RDWR } from '../../../lib/abi/linux.ts';
import { KVM_CREATE_VCPU, KVM_GET_VCPU_MMAP_SIZE } from '../../../lib/abi/vcpu.ts';
import type { Address } from '../../../lib/syscalls/seam.ts';
import type { Kit } from './kit.ts';

/** With interrupt controllers in the kernel, all vCPUs but the first begin in KVM_MP_STATE_UNINITIALIZED. */
const KVM_CREATE_IRQCHIP = io('vm', KVMIO, 0x60);

export interface BlockedVcpu {
  readonly fd: number;
  /** Its kvm_run. */
  readonly address: bigint;
  readonly length: number;
  /** kvm_run.immediate_exit */
  readonly flag: Address;
}

export async function blockedVcpus(kit: Kit, count: number): Promise<BlockedVcpu[]> {
  const { calls, own } = kit;
  const vm = await kit.vm();
  await calls.ioctl(vm, KVM_CREATE_IRQCHIP.request, 0);
  const system = own(await calls.open('/dev/kvm', O_RDWR));
  const length = await calls.ioctl(system, KVM_GET_VCPU_MMAP_SIZE.request, 0);
  own(await calls.ioctlFd(vm, KVM_CREATE_VCPU.request, 0));
  const vcpus: BlockedVcpu[] = [];
  for (let id = 1; id <= count; id++) {
    const fd = own(await calls.ioctlFd(vm, KVM_CREATE_VCPU.request, id));
    const address = await kit.map(fd, length);
    vcpus.push({ fd, address, length, flag: { address: address + 1n } });
  }
  return vcpus;
}

export async function blockedVcpu(kit: Kit): Promise<BlockedVcpu> {
  const [vcpu] = await blockedVcpus(kit, 1);
  return vcpu as BlockedVcpu;
}
