// @ts-check
import { Writable } from 'node:stream';

/** Counts the results in KTAP (Documentation/dev-tools/ktap.rst) as it passes it on, subtests included. */
export class KtapCounter extends Writable {
  /** @param {NodeJS.WritableStream} to */
  constructor(to) {
    super();
    this.to = to;
    this.ok = 0;
    this.skipped = 0;
    /** @type {string[]} */
    this.notOk = [];
    this.rest = '';
  }

  /**
   * @override
   * @param {Buffer} chunk
   * @param {BufferEncoding} _encoding
   * @param {() => void} done
   */
  _write(chunk, _encoding, done) {
    const lines = (this.rest + chunk.toString('utf8')).split('\n');
    this.rest = lines.pop() ?? '';
    for (const line of lines) this.#count(line);
    if (this.to.write(chunk)) done();
    else this.to.once('drain', done);
  }

  /** Takes a last line that has no end. */
  finish() {
    this.#count(this.rest);
    this.rest = '';
  }

  /** @param {string} line */
  #count(line) {
    const result = /^\s*(not )?ok\b(.*)/.exec(line);
    if (result === null) return;
    if (result[1] !== undefined) this.notOk.push(line.trim());
    else if (/# *SKIP\b/i.test(result[2] ?? '')) this.skipped++;
    else this.ok++;
  }
}
