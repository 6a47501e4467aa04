/** What the mocked TDX module offers: attributes, features, and the CPUID leaves that are not fixed by it. */

import {
  CPUID_ADDRESS_SIZES,
  KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
  type kvm_cpuid_entry2,
  TDX_TD_ATTR_SEPT_VE_DISABLE,
} from '../../../abi/tdx.ts';

export type CpuidEntry = ReturnType<typeof kvm_cpuid_entry2.decode>;

/** KVM_SUPPORTED_TDX_TD_ATTRS. */
export const SUPPORTED_ATTRIBUTES = TDX_TD_ATTR_SEPT_VE_DISABLE;
/** x87, SSE and AVX. */
export const SUPPORTED_XFAM = 7n;
/** TDVMCALL<SetupEventNotifyInterrupt> is userspace's. */
export const USER_TDVMCALLS = 1n << 1n;

const ADDRESS_WIDTH = 0x00ff_0000;

const entry = (leaf: number, values: Partial<CpuidEntry>): CpuidEntry => ({
  function: leaf,
  index: 0,
  flags: 0,
  eax: 0,
  ebx: 0,
  ecx: 0,
  edx: 0,
  padding: [0, 0, 0],
  ...values,
});

/** The bits of each that userspace chooses. KVM adds the address width, which it reads itself. */
export const CONFIGURABLE: readonly CpuidEntry[] = [
  entry(1, { ecx: 0x0100_0000, edx: 0x0040_0000 }),
  entry(7, { ebx: 0x0000_0200, edx: 0x0000_0010 }),
  entry(CPUID_ADDRESS_SIZES, { eax: ADDRESS_WIDTH, ebx: 0x0000_0200 }),
];

const TSX = (1 << 4) | (1 << 11);
const WAITPKG = 1 << 5;

/** tdx_unsupported_cpuid(). */
export const isUnsupported = ({ function: leaf, index, ebx, ecx }: CpuidEntry): boolean =>
  leaf === 7 && index === 0 && ((ebx & TSX) !== 0 || (ecx & WAITPKG) !== 0);

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

export const addressWidth = ({ eax }: CpuidEntry): number => (eax & ADDRESS_WIDTH) >>> 16;

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
