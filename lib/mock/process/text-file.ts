/** A file of sysfs: a line of text that is made when it is read, and that may take one. fs/kernfs/file.c. */

import { errno } from '../../abi/errno.ts';
import { PAGE_SIZE, S_IFREG } from '../../abi/linux.ts';
import type { Stat } from '../../syscalls/seam.ts';
import { MockFile } from './file.ts';

export interface Text {
  read(): string;
  /** 0, or -errno for what it cannot be. Left out: the file cannot be written. */
  write?(text: string): number;
}

export class TextFile extends MockFile {
  readonly #text: Text;
  #position = 0n;

  constructor(text: Text) {
    super();
    this.#text = text;
  }

  override get hasPositions(): boolean {
    return true;
  }

  override read(bytes: Uint8Array, offset?: bigint): number {
    const content = new TextEncoder().encode(this.#text.read());
    const part = content.subarray(Number(offset ?? this.#position)).subarray(0, bytes.length);
    bytes.set(part);
    if (offset === undefined) this.#position += BigInt(part.length);
    return part.length;
  }

  override write(bytes: Uint8Array): number {
    const refusal = this.#text.write?.(new TextDecoder().decode(bytes)) ?? -errno.EIO;
    return refusal === 0 ? bytes.length : refusal;
  }

  stat(): Stat {
    const mode = S_IFREG | (this.#text.write ? 0o644 : 0o444);
    return { ino: 1n, mode, nlink: 1, size: BigInt(PAGE_SIZE), blksize: PAGE_SIZE, blocks: 0n };
  }
}
