#include "encrypt_layouts.h"

#if defined(__x86_64__)

#include "missing_encrypt.h"

namespace gmem {

std::vector<Layout> EncryptStructs() {
  return {
      STRUCT(kvm_sev_cmd, 24, kHeader, FIELD(id, 0, 4), FIELD(data, 8, 8), FIELD(error, 16, 4), FIELD(sev_fd, 20, 4)),
      STRUCT(kvm_enc_region, 16, kHeader, FIELD(addr, 0, 8), FIELD(size, 8, 8)),
      STRUCT(kvm_sev_init, 48, kHasSevInit2, FIELD(vmsa_features, 0, 8), FIELD(flags, 8, 4),
             FIELD(ghcb_version, 12, 2), FIELD(pad1, 14, 2), FIELD(pad2, 16, 32)),
      STRUCT(kvm_sev_launch_start, 40, kHeader, FIELD(handle, 0, 4), FIELD(policy, 4, 4), FIELD(dh_uaddr, 8, 8),
             FIELD(dh_len, 16, 4), FIELD(session_uaddr, 24, 8), FIELD(session_len, 32, 4)),
      STRUCT(kvm_sev_launch_update_data, 16, kHeader, FIELD(uaddr, 0, 8), FIELD(len, 8, 4)),
      STRUCT(kvm_sev_launch_measure, 16, kHeader, FIELD(uaddr, 0, 8), FIELD(len, 8, 4)),
      STRUCT(kvm_sev_guest_status, 12, kHeader, FIELD(handle, 0, 4), FIELD(policy, 4, 4), FIELD(state, 8, 4)),
      STRUCT(kvm_sev_snp_launch_start, 64, kHasSnp, FIELD(policy, 0, 8), FIELD(gosvw, 8, 16), FIELD(flags, 24, 2),
             FIELD(pad0, 26, 6), FIELD(pad1, 32, 32)),
      STRUCT(kvm_sev_snp_launch_update, 64, kHasSnp, FIELD(gfn_start, 0, 8), FIELD(uaddr, 8, 8), FIELD(len, 16, 8),
             FIELD(type, 24, 1), FIELD(pad0, 25, 1), FIELD(flags, 26, 2), FIELD(pad1, 28, 4), FIELD(pad2, 32, 32)),
      STRUCT(kvm_sev_snp_launch_finish, 88, kHasSnp, FIELD(id_block_uaddr, 0, 8), FIELD(id_auth_uaddr, 8, 8),
             FIELD(id_block_en, 16, 1), FIELD(auth_key_en, 17, 1), FIELD(vcek_disabled, 18, 1),
             FIELD(host_data, 19, 32), FIELD(pad0, 51, 3), FIELD(flags, 54, 2), FIELD(pad1, 56, 32)),
      STRUCT(kvm_tdx_cmd, 24, kHasTdx, FIELD(id, 0, 4), FIELD(flags, 4, 4), FIELD(data, 8, 8),
             FIELD(hw_error, 16, 8)),
      STRUCT(kvm_cpuid_entry2, 40, kHeader, FIELD(function, 0, 4), FIELD(index, 4, 4), FIELD(flags, 8, 4),
             FIELD(eax, 12, 4), FIELD(ebx, 16, 4), FIELD(ecx, 20, 4), FIELD(edx, 24, 4), FIELD(padding, 28, 12)),
      // An array of entries follows these two.
      STRUCT(kvm_tdx_capabilities, 2056, kHasTdx, FIELD(supported_attrs, 0, 8), FIELD(supported_xfam, 8, 8),
             FIELD(kernel_tdvmcallinfo_1_r11, 16, 8), FIELD(user_tdvmcallinfo_1_r11, 24, 8),
             FIELD(kernel_tdvmcallinfo_1_r12, 32, 8), FIELD(user_tdvmcallinfo_1_r12, 40, 8),
             FIELD(reserved, 48, 2000), FIELD(cpuid, 2048, 8)),
      STRUCT(kvm_tdx_init_vm, 264, kHasTdx, FIELD(attributes, 0, 8), FIELD(xfam, 8, 8), FIELD(mrconfigid, 16, 48),
             FIELD(mrowner, 64, 48), FIELD(mrownerconfig, 112, 48), FIELD(reserved, 160, 96), FIELD(cpuid, 256, 8)),
      STRUCT(kvm_tdx_init_mem_region, 24, kHasTdx, FIELD(source_addr, 0, 8), FIELD(gpa, 8, 8),
             FIELD(nr_pages, 16, 8)),
  };
}

std::vector<Request> EncryptRequests() {
  return {
      REQUEST(KVM_MEMORY_ENCRYPT_OP, 0xc008aeba, kHeader),
      REQUEST(KVM_MEMORY_ENCRYPT_REG_REGION, 0x8010aebb, kHeader),
      REQUEST(KVM_MEMORY_ENCRYPT_UNREG_REGION, 0x8010aebc, kHeader),
  };
}

std::vector<Request> EncryptCommands() {
  return {
      REQUEST(KVM_SEV_INIT, 0, kHeader),
      REQUEST(KVM_SEV_ES_INIT, 1, kHeader),
      REQUEST(KVM_SEV_LAUNCH_START, 2, kHeader),
      REQUEST(KVM_SEV_LAUNCH_UPDATE_DATA, 3, kHeader),
      REQUEST(KVM_SEV_LAUNCH_UPDATE_VMSA, 4, kHeader),
      REQUEST(KVM_SEV_LAUNCH_MEASURE, 6, kHeader),
      REQUEST(KVM_SEV_LAUNCH_FINISH, 7, kHeader),
      REQUEST(KVM_SEV_GUEST_STATUS, 16, kHeader),
      REQUEST(KVM_SEV_INIT2, 22, kHasSevInit2),
      REQUEST(KVM_SEV_SNP_LAUNCH_START, 100, kHasSnp),
      REQUEST(KVM_SEV_SNP_LAUNCH_UPDATE, 101, kHasSnp),
      REQUEST(KVM_SEV_SNP_LAUNCH_FINISH, 102, kHasSnp),
      REQUEST(KVM_SEV_SNP_ENABLE_REQ_CERTS, 103, kHasSnpCerts),
      REQUEST(KVM_TDX_CAPABILITIES, 0, kHasTdx),
      REQUEST(KVM_TDX_INIT_VM, 1, kHasTdx),
      REQUEST(KVM_TDX_INIT_VCPU, 2, kHasTdx),
      REQUEST(KVM_TDX_INIT_MEM_REGION, 3, kHasTdx),
      REQUEST(KVM_TDX_FINALIZE_VM, 4, kHasTdx),
      REQUEST(KVM_TDX_GET_CPUID, 5, kHasTdx),
  };
}

}  // namespace gmem

#else

namespace gmem {

std::vector<Layout> EncryptStructs() { return {}; }
std::vector<Request> EncryptRequests() { return {}; }
std::vector<Request> EncryptCommands() { return {}; }

}  // namespace gmem

#endif
