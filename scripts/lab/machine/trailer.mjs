// @ts-check
/**
 * A stream that ends with a token, at whatever places it is cut: everything before the token is passed on at once, the
 * token itself never. A port of a virtual machine has no end of its own that the host could see.
 */
export class Trailer {
  /**
   * @param {string} token
   * @param {(chunk: Buffer) => void} pass
   */
  constructor(token, pass) {
    this.token = Buffer.from(token);
    this.pass = pass;
    /** What may be the token's beginning. */
    this.held = Buffer.alloc(0);
    this.ended = false;
  }

  /** @param {Buffer} chunk */
  push(chunk) {
    if (this.ended) return;
    const bytes = Buffer.concat([this.held, chunk]);
    const at = bytes.indexOf(this.token);
    this.ended = at >= 0;
    const end = this.ended ? at : bytes.length - this.#overlap(bytes);
    this.held = bytes.subarray(end);
    if (end > 0) this.pass(bytes.subarray(0, end));
  }

  /** Passes on what was held back, when it is known that nothing more comes. */
  finish() {
    if (!this.ended && this.held.length > 0) this.pass(this.held);
    this.held = Buffer.alloc(0);
  }

  /**
   * @param {Buffer} bytes
   * @returns {number} length of the longest end of `bytes` that begins the token
   */
  #overlap(bytes) {
    for (let length = Math.min(this.token.length - 1, bytes.length); length > 0; length--) {
      if (bytes.subarray(bytes.length - length).equals(this.token.subarray(0, length))) return length;
    }
    return 0;
  }
}
