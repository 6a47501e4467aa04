/** The SEV firmware, as far as a launch asks it: one guest's state, and why it refuses. */

import { createHash } from 'node:crypto';
import {
  SEV_MEASUREMENT_SIZE,
  SEV_POLICY_ES,
  SEV_RET_INVALID_ADDRESS,
  SEV_RET_INVALID_GUEST_STATE,
  SEV_RET_INVALID_LEN,
  SEV_RET_POLICY_FAILURE,
  SEV_RET_SUCCESS,
  SEV_RET_UNSUPPORTED,
  SNP_POLICY_DEBUG,
  SNP_POLICY_MIGRATE_MA,
  SNP_POLICY_RSVD_MBO,
  SNP_POLICY_SINGLE_SOCKET,
  SNP_POLICY_SMT,
  SVM_SEV_FEAT_DEBUG_SWAP,
  sevGuestStates,
} from '../../../abi/index.ts';

/** KVM_SNP_POLICY_MASK_VALID of a firmware that knows nothing newer: ABI version, and the bits of the first SNP. */
export const SNP_POLICY_BITS =
  0xffffn | SNP_POLICY_SMT | SNP_POLICY_RSVD_MBO | SNP_POLICY_MIGRATE_MA | SNP_POLICY_DEBUG | SNP_POLICY_SINGLE_SOCKET;

/** What a CPU of that generation has. */
export const VMSA_FEATURES = SVM_SEV_FEAT_DEBUG_SWAP;

/** ABI versions above this one are not met: a policy may ask for a firmware that is newer than the host's. */
const ABI_MAJOR = 1n;

type State = 'init' | 'launching' | 'running';

/** A guest context: what SNP_GCTX_CREATE makes. Each command answers a SEV_RET_* code. */
export class SnpContext {
  /** The fd of /dev/sev that the launch was begun with: KVM looks it up again at later commands. */
  readonly fd: number;
  #state: State = 'init';

  constructor(fd: number) {
    this.fd = fd;
  }

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

  launchUpdate(): number {
    return this.#state === 'launching' ? SEV_RET_SUCCESS : SEV_RET_INVALID_GUEST_STATE;
  }

  launchFinish(): number {
    if (this.#state !== 'launching') return SEV_RET_INVALID_GUEST_STATE;
    this.#state = 'running';
    return SEV_RET_SUCCESS;
  }
}

const BLOCK = 16n;

/** A guest of SEV or SEV-ES, which LAUNCH_START makes: its commands go by its handle. */
export class LegacyContext {
  readonly handle: number;
  readonly policy: number;
  /** As SnpContext's. */
  readonly fd: number;
  #state: keyof typeof sevGuestStates = 'launching';
  readonly #contents = createHash('sha256');

  constructor(handle: number, policy: number, fd: number) {
    this.handle = handle;
    this.policy = policy;
    this.fd = fd;
  }

  get state(): number {
    return sevGuestStates[this.#state];
  }

  get isRunning(): boolean {
    return this.#state === 'running';
  }

  /** Encrypted where it lies, by blocks of 16 bytes. */
  launchUpdate(address: bigint, contents: Uint8Array): number {
    if (this.#state !== 'launching') return SEV_RET_INVALID_GUEST_STATE;
    if (address % BLOCK !== 0n) return SEV_RET_INVALID_ADDRESS;
    if (BigInt(contents.length) % BLOCK !== 0n) return SEV_RET_INVALID_LEN;
    this.#contents.update(contents);
    return SEV_RET_SUCCESS;
  }

  launchUpdateVmsa(): number {
    if (this.#state !== 'launching') return SEV_RET_INVALID_GUEST_STATE;
    return this.policy & SEV_POLICY_ES ? SEV_RET_SUCCESS : SEV_RET_UNSUPPORTED;
  }

  /** Into `bytes`, where there are enough; otherwise `length` is what it takes. */
  launchMeasure(into: { readonly bytes: Uint8Array | undefined; length: number }): number {
    if (this.#state !== 'launching') return SEV_RET_INVALID_GUEST_STATE;
    if (!into.bytes || into.bytes.length < SEV_MEASUREMENT_SIZE) {
      into.length = SEV_MEASUREMENT_SIZE;
      return SEV_RET_INVALID_LEN;
    }
    // A real one is keyed, and ends with a nonce.
    into.bytes.set(this.#contents.digest());
    this.#state = 'measured';
    return SEV_RET_SUCCESS;
  }

  launchFinish(): number {
    if (this.#state !== 'measured') return SEV_RET_INVALID_GUEST_STATE;
    this.#state = 'running';
    return SEV_RET_SUCCESS;
  }
}
