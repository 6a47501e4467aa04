/**
 * KVM requests whose struct is longer than _IOC_SIZE tells: those that end in an array, where the struct itself tells
 * how many entries follow, and one that was declared with another type.
 * Source: include/uapi/linux/kvm.h and arch/x86/include/uapi/asm/kvm.h.
 */

import { KVM_MEMORY_ENCRYPT_OP } from './encrypt-op.ts';
import { requestSize } from './ioctl.ts';
import { KVM_CPUID_ENTRY_BYTES, KVM_GET_SUPPORTED_CPUID, KVM_SET_CPUID2 } from './vcpu.ts';

interface TrailingArray {
  /** The count is the struct's first field. */
  readonly countBytes: 4 | 8;
  /** Where the entries begin. */
  readonly at: number;
  readonly entry: number;
}

const MSR_LIST: TrailingArray = { countBytes: 4, at: 4, entry: 4 };
const CPUID: TrailingArray = { countBytes: 4, at: 8, entry: KVM_CPUID_ENTRY_BYTES };
const MSRS: TrailingArray = { countBytes: 4, at: 8, entry: 16 };
const REG_LIST: TrailingArray = { countBytes: 8, at: 8, entry: 8 };

const ARRAYS = new Map<number, TrailingArray>([
  [0xc004_ae02, MSR_LIST], // KVM_GET_MSR_INDEX_LIST
  [0xc004_ae0a, MSR_LIST], // KVM_GET_MSR_FEATURE_INDEX_LIST
  [KVM_GET_SUPPORTED_CPUID.request, CPUID],
  [0xc008_ae09, CPUID], // KVM_GET_EMULATED_CPUID
  [KVM_SET_CPUID2.request, CPUID],
  [0xc008_ae91, CPUID], // KVM_GET_CPUID2
  [0xc008_ae88, MSRS], // KVM_GET_MSRS
  [0x4008_ae89, MSRS], // KVM_SET_MSRS
  [0xc008_aeb0, REG_LIST], // KVM_GET_REG_LIST
]);

const UNDERSTATED = KVM_MEMORY_ENCRYPT_OP;

/** How many bytes the kernel may touch behind the fixed part, by the struct's own account; 0 for other requests. */
export function trailingSize(request: number, bytes: Uint8Array): number {
  if (request === UNDERSTATED.request) return UNDERSTATED.struct.size - requestSize(request);
  const array = ARRAYS.get(request);
  if (!array || bytes.byteLength < array.at) return 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset, array.at);
  const count = array.countBytes === 4 ? view.getUint32(0, true) : Number(view.getBigUint64(0, true));
  return count * array.entry;
}

/** Whether there is more behind the part that the request number tells. */
export const hasTrailingArray = (request: number): boolean => ARRAYS.has(request) || request === UNDERSTATED.request;
