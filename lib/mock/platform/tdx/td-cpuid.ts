/** KVM_TDX_CAPABILITIES and KVM_TDX_GET_CPUID: what a TD may be given, and what it was given. */

import { withCpuidEntries } from '../../../abi/cpuid-list.ts';
import { errno } from '../../../abi/errno.ts';
import { u32 } from '../../../abi/struct.ts';
import { KVM_TDX_CAPABILITIES } from '../../../abi/tdx.ts';
import { kvm_cpuid2 } from '../../../abi/vcpu.ts';
import type { ProcessMemory } from '../guest-hardware.ts';
import { CONFIGURABLE, SUPPORTED_ATTRIBUTES, SUPPORTED_XFAM, tdCpuid, USER_TDVMCALLS } from './module.ts';
import type { TdCall } from './td.ts';

/** get_user() of cpuid.nent in a struct that ends in a kvm_cpuid2; undefined for EFAULT. */
export function entriesAsked(
  process: ProcessMemory,
  data: bigint,
  { size }: { readonly size: number },
): number | undefined {
  const bytes = process.read(data + BigInt(size - kvm_cpuid2.size), u32.size);
  return bytes && u32.read(new DataView(bytes.buffer), 0);
}

export function getCapabilities({ td, flags, data }: TdCall): number {
  const { process } = td.vm;
  const { struct } = KVM_TDX_CAPABILITIES;
  if (flags !== 0) return -errno.EINVAL;
  const room = entriesAsked(process, data, struct);
  if (room === undefined) return -errno.EFAULT;
  if (room < CONFIGURABLE.length) return -errno.E2BIG;
  const offered = {
    supported_attrs: SUPPORTED_ATTRIBUTES,
    supported_xfam: SUPPORTED_XFAM,
    user_tdvmcallinfo_1_r11: USER_TDVMCALLS,
    cpuid: { nent: CONFIGURABLE.length },
  };
  return process.write(data, withCpuidEntries(struct, offered, CONFIGURABLE)) ? 0 : -errno.EFAULT;
}

/** How many there are is told even where there is too little room for them. */
export function getCpuid({ td, data }: TdCall): number {
  const { process } = td.vm;
  const head = process.read(data, kvm_cpuid2.size);
  if (!head) return -errno.EFAULT;
  const { nent, padding } = kvm_cpuid2.decode(head);
  const entries = tdCpuid(td.parameters!.cpuid);
  const header = { nent: entries.length, padding };
  if (!process.write(data, kvm_cpuid2.encode(header))) return -errno.EFAULT;
  if (nent < entries.length) return -errno.E2BIG;
  return process.write(data, withCpuidEntries(kvm_cpuid2, header, entries)) ? 0 : -errno.EFAULT;
}
