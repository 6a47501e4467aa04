/** Which CPUID a TD is given: of what userspace decides about, what KVM can show. */

import type { CpuidEntry } from '../../abi/cpuid-list.ts';
import { CPUID_ADDRESS_SIZES, TDX_TD_ATTR_SEPT_VE_DISABLE, withAddressWidth } from '../../abi/tdx.ts';

export type AddressWidth = 48 | 52;

const REGISTERS = ['eax', 'ebx', 'ecx', 'edx'] as const;

/** `configurable`: by leaf, the bits that may be chosen. The address width must be, and is KVM's own reading of a leaf. */
export function configurableCpuid(
  configurable: readonly CpuidEntry[],
  supported: readonly CpuidEntry[],
  width: AddressWidth,
): CpuidEntry[] {
  return configurable.map((may) => {
    const can = supported.find((entry) => entry.function === may.function && entry.index === may.index);
    const chosen = { ...may };
    for (const register of REGISTERS) chosen[register] = (may[register] & (can?.[register] ?? 0)) >>> 0;
    if (may.function === CPUID_ADDRESS_SIZES) {
      chosen.eax = withAddressWidth(chosen.eax, width);
    }
    return chosen;
  });
}

/** A TD whose accesses to pages it did not accept end it, instead of being told to itself: as Linux guests want it. */
export const defaultAttributes = (offered: bigint): bigint => offered & TDX_TD_ATTR_SEPT_VE_DISABLE;
