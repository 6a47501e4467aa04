/**
 * What KVM offers for memory that is encrypted: one ioctl for all commands of SEV and TDX, and the registration of
 * SEV's memory. Source: include/uapi/linux/kvm.h and arch/x86/include/uapi/asm/kvm.h of Linux 7.3.4.
 */

import { ior, iowr } from './ioctl.ts';
import { KVMIO } from './kvm.ts';
import { struct, u32, u64 } from './struct.ts';

/** SEV's commands. On TDX the same 24 bytes are a kvm_tdx_cmd. */
export const kvm_sev_cmd = struct('kvm_sev_cmd', {
  id: u32,
  pad0: u32,
  data: u64,
  /** Written: what the firmware answered, as SEV_RET_*. */
  error: u32,
  /** An fd of /dev/sev. */
  sev_fd: u32,
});

export const kvm_tdx_cmd = struct('kvm_tdx_cmd', {
  id: u32,
  flags: u32,
  data: u64,
  /** Must be 0 on entry; written: what the TDX module answered. */
  hw_error: u64,
});

/** The header says `unsigned long`; the kernel reads and writes a struct. */
export const KVM_MEMORY_ENCRYPT_OP = iowr(['vm', 'vcpu'], KVMIO, 0xba, kvm_sev_cmd, { declaredSize: u64.size });

const kvm_enc_region = struct('kvm_enc_region', {
  /** Of this process. */
  addr: u64,
  size: u64,
});

/** The header says _IOR, although the kernel only reads. */
export const KVM_MEMORY_ENCRYPT_REG_REGION = { ...ior('vm', KVMIO, 0xbb, kvm_enc_region), direction: 'in' as const };
export const KVM_MEMORY_ENCRYPT_UNREG_REGION = { ...ior('vm', KVMIO, 0xbc, kvm_enc_region), direction: 'in' as const };
