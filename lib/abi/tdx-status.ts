/**
 * What a SEAMCALL answers: a class in the upper 32 bits, by name, and details below.
 * Source: arch/x86/include/asm/shared/tdx_errno.h and arch/x86/include/asm/tdx.h of Linux 7.3.4.
 */

import type { FirmwareError } from './sev-errors.ts';

const CLASS = 0xffff_ffff_0000_0000n;

export const TDX_SUCCESS = 0n;
export const TDX_OPERAND_INVALID = 0xc000_0100_0000_0000n;
export const TDX_OPERAND_BUSY = 0x8000_0200_0000_0000n;
export const TDX_EPT_ENTRY_STATE_INCORRECT = 0xc000_0b0d_0000_0000n;

type Row = readonly [status: bigint, name: string, advice?: string];

const RETRY = 'somebody else has the TD or the module at this moment; try again';
const MAKE_ANOTHER = 'the TD is lost; close the VM and make another';

const ROWS: readonly Row[] = [
  [0x4000_0001_0000_0000n, 'TDX_NON_RECOVERABLE_VCPU', 'the vCPU is lost, and the TD with it'],
  [0x4000_0002_0000_0000n, 'TDX_NON_RECOVERABLE_TD', MAKE_ANOTHER],
  [0x6000_0005_0000_0000n, 'TDX_NON_RECOVERABLE_TD_NON_ACCESSIBLE', MAKE_ANOTHER],
  [0x6000_0007_0000_0000n, 'TDX_NON_RECOVERABLE_TD_WRONG_APIC_MODE', 'the vCPU must be in x2APIC mode'],
  [0x8000_0003_0000_0000n, 'TDX_INTERRUPTED_RESUMABLE', RETRY],
  [0x8000_0202_0000_0000n, 'TDX_SYS_BUSY', RETRY],
  [TDX_OPERAND_INVALID, 'TDX_OPERAND_INVALID', 'the module refuses a value: attributes, XFAM or CPUID'],
  [TDX_OPERAND_BUSY, 'TDX_OPERAND_BUSY', RETRY],
  [0x8000_0201_0000_0000n, 'TDX_PREVIOUS_TLB_EPOCH_BUSY', RETRY],
  [0x8000_0203_0000_0000n, 'TDX_RND_NO_ENTROPY', RETRY],
  [0xc000_0300_0000_0000n, 'TDX_PAGE_METADATA_INCORRECT', 'the page belongs to another TD, or to the module'],
  [0x8000_0702_0000_0000n, 'TDX_VCPU_NOT_ASSOCIATED'],
  [0x8000_0800_0000_0000n, 'TDX_KEY_GENERATION_FAILED', RETRY],
  [0xc000_0811_0000_0000n, 'TDX_KEY_STATE_INCORRECT'],
  [0x0000_0815_0000_0000n, 'TDX_KEY_CONFIGURED'],
  [0x0000_0821_0000_0000n, 'TDX_NO_HKID_READY_TO_WBCACHE'],
  [0x8000_0824_0000_0000n, 'TDX_FLUSHVP_NOT_DONE'],
  [0xc000_0b00_0000_0000n, 'TDX_EPT_WALK_FAILED', 'the secure EPT has no table for this address'],
  [TDX_EPT_ENTRY_STATE_INCORRECT, 'TDX_EPT_ENTRY_STATE_INCORRECT', 'the page is mapped already, or blocked'],
  [0xc000_0c02_0000_0000n, 'TDX_METADATA_FIELD_NOT_READABLE'],
];

const byClass = new Map(ROWS.map((row) => [row[0], row]));

/** What kvm_tdx_cmd.hw_error says; undefined where it says nothing. */
export function tdxStatus(status: bigint): FirmwareError | undefined {
  if (status === TDX_SUCCESS) return undefined;
  const [, name, advice] = byClass.get(status & CLASS) ?? [status, `0x${status.toString(16)}`];
  return { name, code: status, ...(advice !== undefined && { advice }) };
}
