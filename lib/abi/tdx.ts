/**
 * Intel TDX: the commands that bring a TD up, each with its struct.
 * Source: arch/x86/include/uapi/asm/kvm.h and arch/x86/kvm/vmx/tdx.c of Linux 7.3.4.
 */

import { bareCommand, command } from './command.ts';
import { array, struct, u32, u64 } from './struct.ts';
import { kvm_cpuid2 } from './vcpu.ts';

/** One leaf of CPUID, as KVM takes and gives it. */
export const kvm_cpuid_entry2 = struct('kvm_cpuid_entry2', {
  function: u32,
  index: u32,
  flags: u32,
  eax: u32,
  ebx: u32,
  ecx: u32,
  edx: u32,
  padding: array(u32, 3),
});

/** The index is part of what is asked. */
export const KVM_CPUID_FLAG_SIGNIFCANT_INDEX = 1;

/** Followed by cpuid.nent entries: on entry as many as there is room for. */
const kvm_tdx_capabilities = struct('kvm_tdx_capabilities', {
  supported_attrs: u64,
  supported_xfam: u64,
  kernel_tdvmcallinfo_1_r11: u64,
  user_tdvmcallinfo_1_r11: u64,
  kernel_tdvmcallinfo_1_r12: u64,
  user_tdvmcallinfo_1_r12: u64,
  reserved: array(u64, 250),
  cpuid: kvm_cpuid2,
});

/** Followed by cpuid.nent entries. */
const kvm_tdx_init_vm = struct('kvm_tdx_init_vm', {
  attributes: u64,
  xfam: u64,
  /** SHA-384 digests. */
  mrconfigid: array(u64, 6),
  mrowner: array(u64, 6),
  mrownerconfig: array(u64, 6),
  reserved: array(u64, 12),
  cpuid: kvm_cpuid2,
});

const kvm_tdx_init_mem_region = struct('kvm_tdx_init_mem_region', {
  /** All three move past what was done. */
  source_addr: u64,
  gpa: u64,
  nr_pages: u64,
});

export const KVM_TDX_CAPABILITIES = command('vm', 'KVM_TDX_CAPABILITIES', 0, kvm_tdx_capabilities, {
  since: '6.16',
  entries: true,
});
export const KVM_TDX_INIT_VM = command('vm', 'KVM_TDX_INIT_VM', 1, kvm_tdx_init_vm, { since: '6.16', entries: true });
/** Its data is no pointer: the value of the guest's RCX at its first instruction. */
export const KVM_TDX_INIT_VCPU = bareCommand('vcpu', 'KVM_TDX_INIT_VCPU', 2, { since: '6.16' });
export const KVM_TDX_INIT_MEM_REGION = command('vcpu', 'KVM_TDX_INIT_MEM_REGION', 3, kvm_tdx_init_mem_region, {
  since: '6.16',
});
export const KVM_TDX_FINALIZE_VM = bareCommand('vm', 'KVM_TDX_FINALIZE_VM', 4, { since: '6.16' });
export const KVM_TDX_GET_CPUID = command('vcpu', 'KVM_TDX_GET_CPUID', 5, kvm_cpuid2, { since: '6.16', entries: true });

export const tdxCommands = [
  KVM_TDX_CAPABILITIES,
  KVM_TDX_INIT_VM,
  KVM_TDX_INIT_VCPU,
  KVM_TDX_INIT_MEM_REGION,
  KVM_TDX_FINALIZE_VM,
  KVM_TDX_GET_CPUID,
] as const;

/** A flag of KVM_TDX_INIT_MEM_REGION: the pages become part of the TD's measurement. */
export const KVM_TDX_MEASURE_MEMORY_REGION = 1;

/** A TD attribute: an access to a page that was not accepted leaves the TD, instead of #VE in it. */
export const TDX_TD_ATTR_SEPT_VE_DISABLE = 1n << 28n;

/** CPUID leaf whose EAX[23:16] holds the guest's address width, which decides where the shared bit is. */
export const CPUID_ADDRESS_SIZES = 0x8000_0008;
/** All bits of it. */
export const CPUID_ADDRESS_WIDTH = 0x00ff_0000;
const WIDTH_SHIFT = 16;
/** tdx_get_guest_phys_addr_bits() and tdx_set_guest_phys_addr_bits(). */
export const addressWidthOf = (eax: number): number => (eax & CPUID_ADDRESS_WIDTH) >>> WIDTH_SHIFT;
export const withAddressWidth = (eax: number, width: number): number =>
  ((eax & ~CPUID_ADDRESS_WIDTH) | (width << WIDTH_SHIFT)) >>> 0;
/** GPAW-48 and GPAW-52. Source: TDX_SHARED_BIT_PWL_4 and _5, arch/x86/kvm/vmx/tdx.c. */
export const tdxSharedBits: Readonly<Record<number, bigint>> = { 48: 1n << 47n, 52: 1n << 51n };

/** Features in leaf 7 that KVM offers to no TD: in EBX, and in ECX. Source: arch/x86/kvm/vmx/tdx.c, tdx_unsupported_cpuid(). */
export const CPUID_7_EBX_HLE = 1 << 4;
export const CPUID_7_EBX_RTM = 1 << 11;
export const CPUID_7_ECX_WAITPKG = 1 << 5;
