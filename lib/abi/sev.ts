/**
 * AMD SEV, SEV-ES and SEV-SNP: the commands that bring a VM up, each with its struct.
 * Source: arch/x86/include/uapi/asm/kvm.h and arch/x86/kvm/svm/sev.c of Linux 7.3.4.
 */

import { bareCommand, command } from './command.ts';
import { array, struct, u8, u16, u32, u64 } from './struct.ts';

export const SEV_PATH = '/dev/sev';

const kvm_sev_init = struct('kvm_sev_init', {
  vmsa_features: u64,
  flags: u32,
  ghcb_version: u16,
  pad1: u16,
  pad2: array(u32, 8),
});

const kvm_sev_launch_start = struct('kvm_sev_launch_start', {
  /** Written: the firmware's name for the guest. */
  handle: u32,
  policy: u32,
  dh_uaddr: u64,
  dh_len: u32,
  pad0: u32,
  session_uaddr: u64,
  session_len: u32,
  pad1: u32,
});

const kvm_sev_launch_update_data = struct('kvm_sev_launch_update_data', { uaddr: u64, len: u32, pad0: u32 });

const kvm_sev_launch_measure = struct('kvm_sev_launch_measure', { uaddr: u64, len: u32, pad0: u32 });

const kvm_sev_guest_status = struct('kvm_sev_guest_status', { handle: u32, policy: u32, state: u32 });

const kvm_sev_snp_launch_start = struct('kvm_sev_snp_launch_start', {
  policy: u64,
  gosvw: array(u8, 16),
  flags: u16,
  pad0: array(u8, 6),
  pad1: array(u64, 4),
});

const kvm_sev_snp_launch_update = struct('kvm_sev_snp_launch_update', {
  /** A page number. This, uaddr and len move past what was done. */
  gfn_start: u64,
  uaddr: u64,
  len: u64,
  type: u8,
  pad0: u8,
  flags: u16,
  pad1: u32,
  pad2: array(u64, 4),
});

const kvm_sev_snp_launch_finish = struct('kvm_sev_snp_launch_finish', {
  id_block_uaddr: u64,
  id_auth_uaddr: u64,
  id_block_en: u8,
  auth_key_en: u8,
  vcek_disabled: u8,
  host_data: array(u8, 32),
  pad0: array(u8, 3),
  flags: u16,
  pad1: array(u64, 4),
});

export const KVM_SEV_INIT = bareCommand('vm', 'KVM_SEV_INIT', 0);
export const KVM_SEV_ES_INIT = bareCommand('vm', 'KVM_SEV_ES_INIT', 1);
export const KVM_SEV_LAUNCH_START = command('vm', 'KVM_SEV_LAUNCH_START', 2, kvm_sev_launch_start);
export const KVM_SEV_LAUNCH_UPDATE_DATA = command('vm', 'KVM_SEV_LAUNCH_UPDATE_DATA', 3, kvm_sev_launch_update_data);
export const KVM_SEV_LAUNCH_UPDATE_VMSA = bareCommand('vm', 'KVM_SEV_LAUNCH_UPDATE_VMSA', 4);
export const KVM_SEV_LAUNCH_MEASURE = command('vm', 'KVM_SEV_LAUNCH_MEASURE', 6, kvm_sev_launch_measure);
export const KVM_SEV_LAUNCH_FINISH = bareCommand('vm', 'KVM_SEV_LAUNCH_FINISH', 7);
export const KVM_SEV_GUEST_STATUS = command('vm', 'KVM_SEV_GUEST_STATUS', 16, kvm_sev_guest_status);
export const KVM_SEV_INIT2 = command('vm', 'KVM_SEV_INIT2', 22, kvm_sev_init, { since: '6.10' });
export const KVM_SEV_SNP_LAUNCH_START = command('vm', 'KVM_SEV_SNP_LAUNCH_START', 100, kvm_sev_snp_launch_start, {
  since: '6.11',
});
export const KVM_SEV_SNP_LAUNCH_UPDATE = command('vm', 'KVM_SEV_SNP_LAUNCH_UPDATE', 101, kvm_sev_snp_launch_update, {
  since: '6.11',
});
export const KVM_SEV_SNP_LAUNCH_FINISH = command('vm', 'KVM_SEV_SNP_LAUNCH_FINISH', 102, kvm_sev_snp_launch_finish, {
  since: '6.11',
});
export const KVM_SEV_SNP_ENABLE_REQ_CERTS = bareCommand('vm', 'KVM_SEV_SNP_ENABLE_REQ_CERTS', 103);

export const sevCommands = [
  KVM_SEV_INIT,
  KVM_SEV_ES_INIT,
  KVM_SEV_LAUNCH_START,
  KVM_SEV_LAUNCH_UPDATE_DATA,
  KVM_SEV_LAUNCH_UPDATE_VMSA,
  KVM_SEV_LAUNCH_MEASURE,
  KVM_SEV_LAUNCH_FINISH,
  KVM_SEV_GUEST_STATUS,
  KVM_SEV_INIT2,
  KVM_SEV_SNP_LAUNCH_START,
  KVM_SEV_SNP_LAUNCH_UPDATE,
  KVM_SEV_SNP_LAUNCH_FINISH,
  KVM_SEV_SNP_ENABLE_REQ_CERTS,
] as const;

/** What the firmware makes of a page; the numbers are its own. */
export const snpPageTypes = {
  /** Measured contents. */
  normal: 1,
  /** Zeroes, measured as such. */
  zero: 3,
  /** Contents that are not measured. */
  unmeasured: 4,
  /** Where the firmware leaves the guest's secrets. */
  secrets: 5,
  /** CPUID values, which the firmware checks. */
  cpuid: 6,
} as const;

export type SnpPageType = keyof typeof snpPageTypes;

/** The bit of a guest's page-table entry that says private. CPUID 0x8000001f tells its place; this is where all have it. */
export const SNP_C_BIT = 1n << 51n;

/** Policy of an SNP guest. Source: include/linux/psp-sev.h. */
export const SNP_POLICY_SMT = 1n << 16n;
/** Reserved, and must be set. */
export const SNP_POLICY_RSVD_MBO = 1n << 17n;
export const SNP_POLICY_MIGRATE_MA = 1n << 18n;
export const SNP_POLICY_DEBUG = 1n << 19n;
export const SNP_POLICY_SINGLE_SOCKET = 1n << 20n;

/** Attributes of /dev/kvm (KVM_GET_DEVICE_ATTR). */
export const KVM_X86_GRP_SEV = 1;
export const KVM_X86_SEV_VMSA_FEATURES = 0n;
export const KVM_X86_SNP_POLICY_BITS = 1n;
export const KVM_X86_SEV_SNP_REQ_CERTS = 2n;

/** SVM_SEV_FEAT_DEBUG_SWAP, a VMSA feature. Source: arch/x86/include/asm/svm.h. */
export const SVM_SEV_FEAT_DEBUG_SWAP = 1n << 5n;

/** Bytes of an identity block and of what authenticates it. Source: arch/x86/include/uapi/asm/kvm.h. */
export const KVM_SEV_SNP_ID_BLOCK_SIZE = 96;
export const KVM_SEV_SNP_ID_AUTH_SIZE = 4096;

/** Policy of a SEV guest, the longest blob that the firmware is given, and what KVM_SEV_GUEST_STATUS tells. Source: include/linux/psp-sev.h and the SEV API. */
export const SEV_POLICY_NODBG = 1;
export const SEV_POLICY_ES = 4;
export const SEV_FW_BLOB_MAX_SIZE = 0x4000;
export const sevGuestStates = { launching: 1, measured: 2, running: 3 } as const;
/** Bytes of a measurement: HMAC-SHA-256, and a nonce. */
export const SEV_MEASUREMENT_SIZE = 32 + 16;
