/** What the kernels differ in, as far as cases expect it: by dialect, release and VM type. */

import { existsSync } from 'node:fs';
import {
  type ErrnoName,
  GUEST_MEMFD_FLAG_INIT_SHARED,
  GUEST_MEMFD_FLAG_MMAP,
  GUEST_MEMFD_FLAG_SUPPORT_SHARED,
} from '../abi/index.ts';
import type { Features, Host, VmType } from '../kvm/index.ts';
import { isOlder } from './unmet.ts';

/** kvm_arch_has_private_mem(), arch/x86/kvm. */
const WITH_PRIVATE_MEMORY: readonly VmType[] = ['sw-protected', 'snp', 'tdx'];
/** kvm->arch.has_protected_state: read-only memory cannot be emulated for such guests. */
const WITH_PROTECTED_STATE: readonly VmType[] = ['sev-es', 'snp', 'tdx'];

export const hasPrivateMemory = (type: VmType): boolean => WITH_PRIVATE_MEMORY.includes(type);
export const hasProtectedState = (type: VmType): boolean => WITH_PROTECTED_STATE.includes(type);

/** Creation flags that each are accepted alone: kvm_gmem_get_supported_flags(); in RFC v2 patch 02's check. */
export function createFlags({ dialect, capabilities }: Features, type: VmType): bigint {
  if (dialect === 'rfc-convert') return GUEST_MEMFD_FLAG_SUPPORT_SHARED;
  // Before 6.18 there was neither a flag nor the capability that lists them.
  if (capabilities.KVM_CAP_GUEST_MEMFD_FLAGS === 0) return 0n;
  const startsShared = dialect === 'attributes2' || !hasPrivateMemory(type);
  return GUEST_MEMFD_FLAG_MMAP | (startsShared ? GUEST_MEMFD_FLAG_INIT_SHARED : 0n);
}

/**
 * Binding one range of a file to two slots: EINVAL from kvm_gmem_bind() up to 6.18 and in RFC v2, EEXIST from
 * kvm_gmem_commit_memory_region() in 7.3. Which release in between changed it is not known here, and RFC v2 on a newer
 * kernel than its own may answer as either.
 */
export function boundTwice({ release, dialect }: Features): readonly ErrnoName[] {
  if (isOlder(release, '6.19')) return ['EINVAL'];
  return dialect === 'rfc-convert' || isOlder(release, '7.3') ? ['EINVAL', 'EEXIST'] : ['EEXIST'];
}

/** Whether userspace_addr must be 0 or map the very range that is bound (RFC v2; kvm_gmem_bind()). */
export const checksUserspaceAddr = ({ dialect }: Features): boolean => dialect === 'rfc-convert';

/** The module's parameter gmem_in_place_conversion, which exists only with CONFIG_KVM_VM_MEMORY_ATTRIBUTES=y. */
const hasInPlaceParameter = (mock: Host['mock']): boolean =>
  mock
    ? mock.profile.summary.includes('gmem_in_place_conversion')
    : existsSync('/sys/module/kvm/parameters/gmem_in_place_conversion');

/**
 * What KVM_SET_MEMORY_ATTRIBUTES does with the private attribute: keeps it for the VM, refuses it (conversion is in
 * place, and VM attributes are still compiled in), or does not exist.
 */
export function vmAttributes({ features, mock }: Host): 'tracked' | 'refused' | 'absent' {
  switch (features.dialect) {
    case 'none':
      return 'absent';
    case 'attributes2':
      return hasInPlaceParameter(mock) ? 'refused' : 'absent';
    default:
      return 'tracked';
  }
}
