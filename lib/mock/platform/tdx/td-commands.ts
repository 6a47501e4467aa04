/** KVM_MEMORY_ENCRYPT_OP on a TD and its vCPUs: arch/x86/kvm/vmx/tdx.c, tdx_vm_ioctl() and tdx_vcpu_ioctl(). */

import { errno } from '../../../abi/errno.ts';
import {
  KVM_TDX_CAPABILITIES,
  KVM_TDX_FINALIZE_VM,
  KVM_TDX_GET_CPUID,
  KVM_TDX_INIT_MEM_REGION,
  KVM_TDX_INIT_VCPU,
  KVM_TDX_INIT_VM,
  kvm_tdx_cmd,
  TDX_SUCCESS,
} from '../../../abi/index.ts';
import type { UserMemory } from '../../process/index.ts';
import type { Td, TdCall } from './td.ts';
import { getCapabilities, getCpuid } from './td-cpuid.ts';
import { initVm } from './td-init.ts';
import { initMemRegion } from './td-memory.ts';

type Command = ReturnType<typeof kvm_tdx_cmd.decode>;

/** tdx_get_cmd(): the command, or -errno. */
function getCommand(user: UserMemory): Command | number {
  const bytes = user.read(kvm_tdx_cmd.size);
  if (!bytes) return -errno.EFAULT;
  const command = kvm_tdx_cmd.decode(bytes);
  return command.hw_error === 0n ? command : -errno.EINVAL;
}

const callOf = (td: Td, { flags, data }: Command): TdCall => ({ td, flags, data, hwError: TDX_SUCCESS });

export function vmCommand(td: Td, user: UserMemory): number {
  const command = getCommand(user);
  if (typeof command === 'number') return command;
  const call = callOf(td, command);
  if (command.id === KVM_TDX_CAPABILITIES.id) return getCapabilities(call);
  const answer =
    command.id === KVM_TDX_INIT_VM.id ? initVm : command.id === KVM_TDX_FINALIZE_VM.id ? finalize : undefined;
  if (!answer) return -errno.EINVAL;
  const result = answer(call);
  return user.write(kvm_tdx_cmd.encode({ ...command, hw_error: call.hwError })) ? result : -errno.EFAULT;
}

function finalize({ td }: TdCall): number {
  if (!td.isBuilding) return -errno.EINVAL;
  td.finalized = true;
  return 0;
}

/** The commands that change something go another way than the one that asks, with its checks in another order. */
export function vcpuCommand(td: Td, id: number, user: UserMemory): number {
  const command = getCommand(user);
  if (typeof command === 'number') return command;
  if (!td.isBuilding) return -errno.EINVAL;
  const call = callOf(td, command);
  switch (command.id) {
    case KVM_TDX_INIT_VCPU.id:
      return initVcpu(call, id);
    case KVM_TDX_INIT_MEM_REGION.id:
      return initMemRegion(call, id);
    case KVM_TDX_GET_CPUID.id:
      return getCpuid(call);
    default:
      return -errno.EINVAL;
  }
}

function initVcpu({ td, flags }: TdCall, id: number): number {
  if (flags !== 0 || td.initialized.has(id)) return -errno.EINVAL;
  td.initialized.add(id);
  return 0;
}
