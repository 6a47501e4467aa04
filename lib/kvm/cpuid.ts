/** Showing a vCPU the CPU that this host can offer. Without it a vCPU has no 64-bit mode. */

import { KVM_CPUID_ENTRY_BYTES, KVM_GET_SUPPORTED_CPUID, KVM_SET_CPUID2 } from '../abi/vcpu.ts';
import { type Context, issue, prepareIoctl, type Result, success } from '../host/index.ts';

/** More than any CPU has: Linux itself stops at 256 (KVM_MAX_CPUID_ENTRIES). */
const ENTRIES = 256;

/** KVM_GET_SUPPORTED_CPUID: a kvm_cpuid2 and its entries, as bytes. `system` is the fd of /dev/kvm. */
export async function supportedCpuid({ syscalls }: Context, system: number): Promise<Result<Uint8Array>> {
  const header = KVM_GET_SUPPORTED_CPUID.struct.encode({ nent: ENTRIES });
  const cpuid = new Uint8Array(header.byteLength + ENTRIES * KVM_CPUID_ENTRY_BYTES);
  cpuid.set(header);
  const asked = await issue(syscalls, system, prepareIoctl(system, KVM_GET_SUPPORTED_CPUID, cpuid));
  return asked.ok ? success(cpuid) : asked;
}

/** `system` and `vcpu` are fds. */
export async function showHostCpu(context: Context, system: number, vcpu: number): Promise<Result<unknown>> {
  const cpuid = await supportedCpuid(context, system);
  if (!cpuid.ok) return cpuid;
  const shown = await issue(context.syscalls, vcpu, prepareIoctl(vcpu, KVM_SET_CPUID2, cpuid.value));
  return shown.ok ? success(undefined) : shown;
}
