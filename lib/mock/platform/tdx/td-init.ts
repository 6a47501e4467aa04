/** KVM_TDX_INIT_VM: tdx_td_init() and setup_tdparams(), check by check. */

import { type CpuidEntry, cpuidEntriesOf, KVM_MAX_CPUID_ENTRIES } from '../../../abi/cpuid-list.ts';
import { errno } from '../../../abi/errno.ts';
import {
  addressWidthOf,
  CPUID_ADDRESS_SIZES,
  KVM_TDX_INIT_VM,
  kvm_cpuid_entry2,
  tdxSharedBits,
} from '../../../abi/tdx.ts';
import { TDX_OPERAND_INVALID } from '../../../abi/tdx-status.ts';
import { CONFIGURABLE, canBeChosen, findEntry, isUnsupported, SUPPORTED_ATTRIBUTES, SUPPORTED_XFAM } from './module.ts';
import type { TdCall } from './td.ts';
import { entriesAsked } from './td-cpuid.ts';

export function initVm(call: TdCall): number {
  const { td, flags, data } = call;
  const { struct } = KVM_TDX_INIT_VM;
  if (td.parameters) return -errno.EINVAL;
  if (flags !== 0) return -errno.EINVAL;
  const nent = entriesAsked(td.vm.process, data, struct);
  if (nent === undefined) return -errno.EFAULT;
  if (nent > KVM_MAX_CPUID_ENTRIES) return -errno.E2BIG;
  const bytes = td.vm.process.read(data, struct.size + nent * kvm_cpuid_entry2.size);
  if (!bytes) return -errno.EFAULT;
  const { attributes, xfam, reserved, cpuid: list } = struct.decode(bytes);
  if (reserved.some((word) => word !== 0n) || list.padding !== 0) return -errno.EINVAL;
  if (attributes & ~SUPPORTED_ATTRIBUTES || xfam & ~SUPPORTED_XFAM) return -errno.EINVAL;
  const cpuid = cpuidEntriesOf(struct, bytes, nent);
  const sharedBit = sharedBitFor(cpuid);
  if (sharedBit === undefined || !areConfigurable(cpuid)) return -errno.EINVAL;
  if (!canBeChosen(cpuid)) {
    call.hwError = TDX_OPERAND_INVALID;
    return -errno.EINVAL;
  }
  td.parameters = { attributes, xfam, cpuid, sharedBit };
  return 0;
}

/** setup_tdparams_eptp_controls(). */
function sharedBitFor(cpuid: readonly CpuidEntry[]): bigint | undefined {
  const sizes = findEntry(cpuid, CPUID_ADDRESS_SIZES, 0);
  return sizes && tdxSharedBits[addressWidthOf(sizes.eax)];
}

/** setup_tdparams_cpuids(): every entry must be one of those that can be chosen. */
function areConfigurable(cpuid: readonly CpuidEntry[]): boolean {
  const found = CONFIGURABLE.flatMap(({ function: leaf, index }) => findEntry(cpuid, leaf, index) ?? []);
  return !found.some(isUnsupported) && found.length === cpuid.length;
}
