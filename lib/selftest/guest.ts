/** A guest that touches memory. A case sees the same guest whether a mocked or a real vCPU runs it. */

import type { Access, GuestRead, GuestWrite, MockGuest } from '../mock/index.ts';

export class Guest {
  readonly #guest: MockGuest;

  constructor(guest: MockGuest) {
    this.#guest = guest;
  }

  /**
   * Reads at a guest-physical address; an access the guest cannot make answers the exit it causes.
   * `access` is for guests that say themselves what they take a page for (SEV-SNP, TDX); others have no such bit.
   */
  async read(gpa: bigint, length: number, access?: Access): Promise<GuestRead> {
    return this.#guest.read(gpa, length, access ? { access } : {});
  }

  /** Writes at a guest-physical address; as read. */
  async write(gpa: bigint, bytes: Uint8Array, access?: Access): Promise<GuestWrite> {
    return this.#guest.write(gpa, bytes, access ? { access } : {});
  }
}
