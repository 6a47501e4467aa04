// As missing.h, for the bring-up of SEV-SNP guests and TDs. Enumerators cannot be asked for; a macro that came with
// them can.
#pragma once

#include <linux/kvm.h>
#include <linux/types.h>

#include "missing_vcpu.h"

namespace gmem {

// Linux 6.10.
#ifdef KVM_X86_SEV_VMSA_FEATURES
constexpr bool kHasSevInit2 = true;
#else
constexpr bool kHasSevInit2 = false;
constexpr int KVM_SEV_INIT2 = 22;
struct kvm_sev_init {
  __u64 vmsa_features;
  __u32 flags;
  __u16 ghcb_version;
  __u16 pad1;
  __u32 pad2[8];
};
#endif

// Linux 6.11.
#ifdef KVM_SEV_SNP_PAGE_TYPE_NORMAL
constexpr bool kHasSnp = true;
#else
constexpr bool kHasSnp = false;
constexpr int KVM_SEV_SNP_LAUNCH_START = 100;
constexpr int KVM_SEV_SNP_LAUNCH_UPDATE = 101;
constexpr int KVM_SEV_SNP_LAUNCH_FINISH = 102;
struct kvm_sev_snp_launch_start {
  __u64 policy;
  __u8 gosvw[16];
  __u16 flags;
  __u8 pad0[6];
  __u64 pad1[4];
};
struct kvm_sev_snp_launch_update {
  __u64 gfn_start;
  __u64 uaddr;
  __u64 len;
  __u8 type;
  __u8 pad0;
  __u16 flags;
  __u32 pad1;
  __u64 pad2[4];
};
struct kvm_sev_snp_launch_finish {
  __u64 id_block_uaddr;
  __u64 id_auth_uaddr;
  __u8 id_block_en;
  __u8 auth_key_en;
  __u8 vcek_disabled;
  __u8 host_data[32];
  __u8 pad0[3];
  __u16 flags;
  __u64 pad1[4];
};
#endif

#ifdef KVM_X86_SEV_SNP_REQ_CERTS
constexpr bool kHasSnpCerts = true;
#else
constexpr bool kHasSnpCerts = false;
constexpr int KVM_SEV_SNP_ENABLE_REQ_CERTS = 103;
#endif

// Linux 6.16.
#ifdef KVM_TDX_MEASURE_MEMORY_REGION
constexpr bool kHasTdx = true;
#else
constexpr bool kHasTdx = false;
constexpr int KVM_TDX_CAPABILITIES = 0;
constexpr int KVM_TDX_INIT_VM = 1;
constexpr int KVM_TDX_INIT_VCPU = 2;
constexpr int KVM_TDX_INIT_MEM_REGION = 3;
constexpr int KVM_TDX_FINALIZE_VM = 4;
constexpr int KVM_TDX_GET_CPUID = 5;
struct kvm_tdx_cmd {
  __u32 id;
  __u32 flags;
  __u64 data;
  __u64 hw_error;
};
struct kvm_tdx_capabilities {
  __u64 supported_attrs;
  __u64 supported_xfam;
  __u64 kernel_tdvmcallinfo_1_r11;
  __u64 user_tdvmcallinfo_1_r11;
  __u64 kernel_tdvmcallinfo_1_r12;
  __u64 user_tdvmcallinfo_1_r12;
  __u64 reserved[250];
  Cpuid2 cpuid;
};
struct kvm_tdx_init_vm {
  __u64 attributes;
  __u64 xfam;
  __u64 mrconfigid[6];
  __u64 mrowner[6];
  __u64 mrownerconfig[6];
  __u64 reserved[12];
  Cpuid2 cpuid;
};
struct kvm_tdx_init_mem_region {
  __u64 source_addr;
  __u64 gpa;
  __u64 nr_pages;
};
#endif

}  // namespace gmem
