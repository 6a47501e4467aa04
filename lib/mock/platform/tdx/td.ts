/** A TD as its commands see it. They stand below the hardware that receives them. */

import type { CpuidEntry } from '../../../abi/cpuid-list.ts';
import type { Folio } from '../../memory.ts';
import type { HostVm } from '../guest-hardware.ts';

export interface TdParameters {
  readonly attributes: bigint;
  readonly xfam: bigint;
  readonly cpuid: readonly CpuidEntry[];
  readonly sharedBit: bigint;
}

export interface Td {
  readonly vm: HostVm;
  /** Set by KVM_TDX_INIT_VM: the TD has a key. */
  parameters: TdParameters | undefined;
  /** TD_STATE_RUNNABLE. */
  finalized: boolean;
  /** vCPUs that are the TD's. */
  readonly initialized: Set<number>;
  readonly isBuilding: boolean;
  readonly sharedBit: bigint;
  /** TDH.MEM.PAGE.ADD while the TD is built; false where the guest has a page there. */
  addPage(gfn: number, folio: Folio): boolean;
}

export interface TdCall {
  readonly td: Td;
  readonly flags: number;
  readonly data: bigint;
  /** kvm_tdx_cmd.hw_error, which goes back with the answer: what the module said where KVM asked it. */
  hwError: bigint;
}
