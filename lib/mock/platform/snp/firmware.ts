/** The SEV firmware, as far as a launch asks it: one guest's state, and why it refuses. */

import {
  SEV_RET_INVALID_GUEST_STATE,
  SEV_RET_INVALID_PAGE_STATE,
  SEV_RET_POLICY_FAILURE,
  SEV_RET_SUCCESS,
  SNP_POLICY_DEBUG,
  SNP_POLICY_MIGRATE_MA,
  SNP_POLICY_RSVD_MBO,
  SNP_POLICY_SINGLE_SOCKET,
  SNP_POLICY_SMT,
} from '../../../abi/index.ts';

/** KVM_SNP_POLICY_MASK_VALID of a firmware that knows nothing newer: ABI version, and the bits of the first SNP. */
export const SNP_POLICY_BITS =
  0xffffn | SNP_POLICY_SMT | SNP_POLICY_RSVD_MBO | SNP_POLICY_MIGRATE_MA | SNP_POLICY_DEBUG | SNP_POLICY_SINGLE_SOCKET;

/** SVM_SEV_FEAT_DEBUG_SWAP: what a CPU of that generation has. */
export const VMSA_FEATURES = 1n << 5n;

/** ABI versions above this one are not met: a policy may ask for a firmware that is newer than the host's. */
const ABI_MAJOR = 1n;

type State = 'init' | 'launching' | 'running';

/** A guest context: what SNP_GCTX_CREATE makes. Each command answers a SEV_RET_* code. */
export class SnpContext {
  #state: State = 'init';

  get isRunning(): boolean {
    return this.#state === 'running';
  }

  launchStart(policy: bigint): number {
    if (this.#state !== 'init') return SEV_RET_INVALID_GUEST_STATE;
    // The mocked host has its sibling threads on.
    if (!(policy & SNP_POLICY_SMT) || (policy >> 8n) % 256n > ABI_MAJOR) return SEV_RET_POLICY_FAILURE;
    this.#state = 'launching';
    return SEV_RET_SUCCESS;
  }

  /** `isNew`: the page was given to the guest for this, and is in no other state. */
  launchUpdate(isNew: boolean): number {
    if (this.#state !== 'launching') return SEV_RET_INVALID_GUEST_STATE;
    return isNew ? SEV_RET_SUCCESS : SEV_RET_INVALID_PAGE_STATE;
  }

  launchFinish(): number {
    if (this.#state !== 'launching') return SEV_RET_INVALID_GUEST_STATE;
    this.#state = 'running';
    return SEV_RET_SUCCESS;
  }
}
