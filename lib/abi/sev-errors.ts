/**
 * What the SEV firmware answers, by name, and what to do about it.
 * Source: include/uapi/linux/psp-sev.h of Linux 7.3.4 (sev_ret_code), and the SEV-SNP firmware ABI that it follows.
 */

/** An answer that is not an errno: of firmware, of a TDX module. */
export interface FirmwareError {
  /** As the kernel's header names it; 0x... where it does not. */
  readonly name: string;
  readonly code: bigint;
  /** What to do about it, where that is known. */
  readonly advice?: string;
}

/** SEV_RET_NO_FW_CALL: the kernel did not get as far as the firmware. */
export const SEV_RET_NO_FW_CALL = 0xffff_ffff;
export const SEV_RET_SUCCESS = 0;
export const SEV_RET_INVALID_GUEST_STATE = 0x02;
export const SEV_RET_INVALID_LEN = 0x04;
export const SEV_RET_POLICY_FAILURE = 0x07;
export const SEV_RET_INVALID_ADDRESS = 0x09;
export const SEV_RET_ASID_OWNED = 0x0c;
export const SEV_RET_UNSUPPORTED = 0x15;
export const SEV_RET_INVALID_PARAM = 0x16;

type Row = readonly [code: number, name: string, advice?: string];

const INITIALISE = 'initialise the platform: /dev/sev must open, and the log (dmesg | grep -i sev) say that SNP is up';

const ROWS: readonly Row[] = [
  [SEV_RET_NO_FW_CALL, 'SEV_RET_NO_FW_CALL', 'the firmware was not asked; the errno tells why'],
  [0x01, 'SEV_RET_INVALID_PLATFORM_STATE', INITIALISE],
  [
    SEV_RET_INVALID_GUEST_STATE,
    'SEV_RET_INVALID_GUEST_STATE',
    'the commands of a launch have an order: init, start, update, finish, each once',
  ],
  [0x03, 'SEV_RET_INVALID_CONFIG'],
  [SEV_RET_INVALID_LEN, 'SEV_RET_INVALID_LEN'],
  [0x05, 'SEV_RET_ALREADY_OWNED'],
  [0x06, 'SEV_RET_INVALID_CERTIFICATE'],
  [
    SEV_RET_POLICY_FAILURE,
    'SEV_RET_POLICY_FAILURE',
    'the platform does not meet the policy: SMT, debugging, firmware version, sockets',
  ],
  [0x08, 'SEV_RET_INACTIVE'],
  [SEV_RET_INVALID_ADDRESS, 'SEV_RET_INVALID_ADDRESS'],
  [0x0a, 'SEV_RET_BAD_SIGNATURE', 'the identity block is not signed by the key that goes with it'],
  [0x0b, 'SEV_RET_BAD_MEASUREMENT', 'the identity block names another measurement: other pages, or in another order'],
  [SEV_RET_ASID_OWNED, 'SEV_RET_ASID_OWNED'],
  [0x0d, 'SEV_RET_INVALID_ASID', 'give SNP guests ASIDs: lower "SEV-ES ASID Space Limit" in the firmware setup'],
  [0x0e, 'SEV_RET_WBINVD_REQUIRED'],
  [0x0f, 'SEV_RET_DFFLUSH_REQUIRED', 'ASIDs wait for a flush; close VMs and try again'],
  [0x10, 'SEV_RET_INVALID_GUEST'],
  [0x11, 'SEV_RET_INVALID_COMMAND', 'this firmware does not know the command: update it'],
  [0x12, 'SEV_RET_ACTIVE'],
  [0x13, 'SEV_RET_HWSEV_RET_PLATFORM', 'a hardware failure: reset the platform'],
  [0x14, 'SEV_RET_HWSEV_RET_UNSAFE'],
  [SEV_RET_UNSUPPORTED, 'SEV_RET_UNSUPPORTED', 'this CPU or its firmware lacks the feature'],
  [
    SEV_RET_INVALID_PARAM,
    'SEV_RET_INVALID_PARAM',
    'a page of CPUID values that the CPU does not have comes back corrected in the source',
  ],
  [0x17, 'SEV_RET_RESOURCE_LIMIT', 'the firmware has no room for another guest; close one'],
  [0x18, 'SEV_RET_SECURE_DATA_INVALID'],
  [0x19, 'SEV_RET_INVALID_PAGE_SIZE'],
  [0x1a, 'SEV_RET_INVALID_PAGE_STATE', 'the page is in another state of the RMP: launched twice, or not private'],
  [0x1b, 'SEV_RET_INVALID_MDATA_ENTRY'],
  [0x1c, 'SEV_RET_INVALID_PAGE_OWNER', 'the page belongs to another guest'],
  [0x1d, 'SEV_RET_AEAD_OFLOW'],
  [0x1f, 'SEV_RET_EXIT_RING_BUFFER'],
  [0x20, 'SEV_RET_RMP_INIT_REQUIRED', INITIALISE],
  [0x21, 'SEV_RET_BAD_SVN'],
  [0x22, 'SEV_RET_BAD_VERSION'],
  [0x23, 'SEV_RET_SHUTDOWN_REQUIRED'],
  [0x24, 'SEV_RET_UPDATE_FAILED'],
  [0x25, 'SEV_RET_RESTORE_REQUIRED'],
  [0x26, 'SEV_RET_RMP_INITIALIZATION_FAILED', INITIALISE],
  [0x27, 'SEV_RET_INVALID_KEY'],
  [0x28, 'SEV_RET_SHUTDOWN_INCOMPLETE'],
  [0x30, 'SEV_RET_INCORRECT_BUFFER_LENGTH'],
  [0x31, 'SEV_RET_EXPAND_BUFFER_LENGTH_REQUEST'],
  [0x32, 'SEV_RET_SPDM_REQUEST'],
  [0x33, 'SEV_RET_SPDM_ERROR'],
  [0x35, 'SEV_RET_SEV_STATUS_ERR_IN_DEV_CONN'],
  [0x36, 'SEV_RET_SEV_STATUS_INVALID_DEV_CTX'],
  [0x37, 'SEV_RET_SEV_STATUS_INVALID_TDI_CTX'],
  [0x38, 'SEV_RET_SEV_STATUS_INVALID_TDI'],
  [0x39, 'SEV_RET_SEV_STATUS_RECLAIM_REQUIRED'],
  [0x3a, 'SEV_RET_IN_USE'],
  [0x3b, 'SEV_RET_SEV_STATUS_INVALID_DEV_STATE'],
  [0x3c, 'SEV_RET_SEV_STATUS_INVALID_TDI_STATE'],
  [0x3d, 'SEV_RET_SEV_STATUS_DEV_CERT_CHANGED'],
  [0x3e, 'SEV_RET_SEV_STATUS_RESYNC_REQ'],
  [0x3f, 'SEV_RET_SEV_STATUS_RESPONSE_TOO_LARGE'],
];

const byCode = new Map(ROWS.map((row) => [row[0], row]));

/** What kvm_sev_cmd.error says; undefined where it says nothing. */
export function sevError(code: number): FirmwareError | undefined {
  if (code === SEV_RET_SUCCESS) return undefined;
  const [, name, advice] = byCode.get(code) ?? [code, `0x${code.toString(16)}`];
  return { name, code: BigInt(code), ...(advice !== undefined && { advice }) };
}
