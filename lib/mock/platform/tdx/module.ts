/** What the mocked TDX module offers: attributes, features, and the CPUID leaves that are not fixed by it. */

import type { CpuidEntry } from '../../../abi/cpuid-list.ts';
import {
  CPUID_7_EBX_HLE,
  CPUID_7_EBX_RTM,
  CPUID_7_ECX_WAITPKG,
  CPUID_ADDRESS_SIZES,
  CPUID_ADDRESS_WIDTH,
  KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
  kvm_cpuid_entry2,
  TDX_TD_ATTR_SEPT_VE_DISABLE,
} from '../../../abi/tdx.ts';

/** KVM_SUPPORTED_TDX_TD_ATTRS. */
export const SUPPORTED_ATTRIBUTES = TDX_TD_ATTR_SEPT_VE_DISABLE;
/** x87, SSE and AVX. */
export const SUPPORTED_XFAM = 7n;
/** TDVMCALL<SetupEventNotifyInterrupt> is userspace's. */
export const USER_TDVMCALLS = 1n << 1n;

/** With all that is not given 0. */
const entry = (leaf: number, values: Partial<CpuidEntry>): CpuidEntry =>
  kvm_cpuid_entry2.decode(kvm_cpuid_entry2.encode({ ...values, function: leaf }));

/** The bits of each that userspace chooses. KVM adds the address width, which it reads itself. */
export const CONFIGURABLE: readonly CpuidEntry[] = [
  entry(1, { ecx: 0x0100_0000, edx: 0x0040_0000 }),
  entry(7, { ebx: 0x0000_0200, edx: 0x0000_0010 }),
  entry(CPUID_ADDRESS_SIZES, { eax: CPUID_ADDRESS_WIDTH, ebx: 0x0000_0200 }),
];

const TSX = CPUID_7_EBX_HLE | CPUID_7_EBX_RTM;

/** tdx_unsupported_cpuid(). */
export const isUnsupported = ({ function: leaf, index, ebx, ecx }: CpuidEntry): boolean =>
  leaf === 7 && index === 0 && ((ebx & TSX) !== 0 || (ecx & CPUID_7_ECX_WAITPKG) !== 0);

/** kvm_find_cpuid_entry2(). */
export const findEntry = (entries: readonly CpuidEntry[], leaf: number, index: number): CpuidEntry | undefined =>
  entries.find(
    (one) => one.function === leaf && (!(one.flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || one.index === index),
  );

const REGISTERS = ['eax', 'ebx', 'ecx', 'edx'] as const;

/** TDH.MNG.INIT: no bit is set that userspace does not choose. */
export const canBeChosen = (entries: readonly CpuidEntry[]): boolean =>
  CONFIGURABLE.every((may) => {
    const chosen = findEntry(entries, may.function, may.index);
    return !chosen || REGISTERS.every((register) => (chosen[register] & ~may[register]) === 0);
  });

/** What CPUID answers in the TD: the module's own leaves, and what was chosen. */
export function tdCpuid(chosen: readonly CpuidEntry[]): CpuidEntry[] {
  const leaf = (number: number): CpuidEntry =>
    entry(number, { ...findEntry(chosen, number, 0), index: 0, flags: 0, padding: [0, 0, 0] });
  return [
    entry(0, { eax: 7 }),
    leaf(1),
    leaf(7),
    entry(0x8000_0000, { eax: CPUID_ADDRESS_SIZES }),
    leaf(CPUID_ADDRESS_SIZES),
  ];
}
