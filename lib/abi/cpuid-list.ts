/** A struct that ends in CPUID entries, as bytes: kvm_cpuid2 and what has one as its last field. */

import type { Fields, Struct, StructIn, StructOut } from './struct.ts';
import { kvm_cpuid_entry2 } from './tdx.ts';

/** One leaf, or one index of one. */
export type CpuidEntry = StructOut<typeof kvm_cpuid_entry2 extends Struct<infer F> ? F : never>;

/** More than any CPU has. Source: arch/x86/include/asm/kvm_host.h. */
export const KVM_MAX_CPUID_ENTRIES = 256;

/** The struct with room for `room` entries behind it, of which the first are given. */
export function withCpuidEntries<F extends Fields>(
  struct: Struct<F>,
  values: StructIn<F>,
  entries: readonly StructIn<Fields>[],
  room: number = entries.length,
): Uint8Array {
  const bytes = new Uint8Array(struct.size + room * kvm_cpuid_entry2.size);
  bytes.set(struct.encode(values));
  for (const [i, entry] of entries.entries()) {
    bytes.set(kvm_cpuid_entry2.encode(entry as object), struct.size + i * kvm_cpuid_entry2.size);
  }
  return bytes;
}

export function cpuidEntriesOf<F extends Fields>(struct: Struct<F>, bytes: Uint8Array, count: number): CpuidEntry[] {
  return Array.from({ length: count }, (_, i) =>
    kvm_cpuid_entry2.decode(bytes.subarray(struct.size + i * kvm_cpuid_entry2.size)),
  );
}
