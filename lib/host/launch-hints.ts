/**
 * What to do about an errno of a command that brings a confidential VM up.
 * Source: arch/x86/kvm/svm/sev.c and arch/x86/kvm/vmx/tdx.c of Linux 7.3.4.
 */

import type { Hint } from './hint.ts';

const PRIVATE_FIRST =
  'each page must be backed by a guest_memfd and private (gmem.convert or vm.setMemoryAttributes), and launched once';

export const launchHints: readonly Hint[] = [
  {
    on: ['KVM_SEV_INIT2'],
    code: 'EINVAL',
    text: "once for a VM of type sev, sev-es or snp, before its vCPUs, with no VMSA feature besides the kernel's (KVM_GET_DEVICE_ATTR on /dev/kvm, KVM_X86_GRP_SEV)",
  },
  {
    on: ['KVM_SEV_INIT2'],
    code: 'EBUSY',
    text: 'no ASID is free: close VMs, or give this type more in the firmware setup',
  },
  {
    on: ['KVM_SEV_SNP_LAUNCH_START'],
    code: 'EINVAL',
    text: "once for a VM, with a policy that has bit 17 and no bit besides the kernel's (KVM_GET_DEVICE_ATTR on /dev/kvm, KVM_X86_GRP_SEV)",
  },
  {
    on: ['KVM_SEV_SNP_LAUNCH_START', 'KVM_SEV_SNP_LAUNCH_FINISH'],
    code: 'ENOTTY',
    text: 'KVM_SEV_INIT2 on a VM of type snp goes before, and /dev/sev must be the one of this kernel',
  },
  {
    on: ['KVM_SEV_SNP_LAUNCH_UPDATE'],
    code: 'EINVAL',
    text: "between start and finish, whole pages of a memory region with a guest_memfd; 'in-place' needs a kernel that converts in place (attributes2)",
  },
  { on: ['KVM_SEV_SNP_LAUNCH_UPDATE'], code: 'EIO', text: PRIVATE_FIRST },
  { on: ['KVM_SEV_SNP_LAUNCH_FINISH'], code: 'EINVAL', text: 'KVM_SEV_SNP_LAUNCH_START goes before' },
  {
    on: ['KVM_TDX_INIT_VM'],
    code: 'EINVAL',
    text: "once, with attributes, XFAM and CPUID entries of the TD's capabilities only, and an address width of 48 or 52",
  },
  { on: ['KVM_TDX_INIT_VM'], code: 'EBUSY', text: 'while no vCPU is being made' },
  { on: ['KVM_TDX_INIT_VCPU'], code: 'EINVAL', text: 'once for each vCPU, before KVM_TDX_FINALIZE_VM' },
  {
    on: ['KVM_TDX_INIT_MEM_REGION'],
    code: 'EINVAL',
    text: `before KVM_TDX_FINALIZE_VM, on an initialised vCPU; ${PRIVATE_FIRST}; 'in-place' needs a kernel that converts in place`,
  },
  { on: ['KVM_TDX_INIT_MEM_REGION'], code: 'EFAULT', text: 'no memory region with an open guest_memfd is there' },
  { on: ['KVM_TDX_FINALIZE_VM'], code: 'EINVAL', text: 'once, after KVM_TDX_INIT_VM' },
  {
    on: ['KVM_TDX_CAPABILITIES', 'KVM_TDX_GET_CPUID'],
    code: 'E2BIG',
    text: 'there are more CPUID entries than there was room for',
  },
];
