/** A file of sysfs: a line of text that is made when it is read, and that may take one. fs/kernfs/file.c. */

import { errno } from '../../abi/errno.ts';
import { O_RDONLY, O_RDWR, O_WRONLY, PAGE_SIZE, S_IFREG } from '../../abi/linux.ts';
import type { Stat } from '../../syscalls/seam.ts';
import { MockFile } from './file.ts';
import type { FileOpener } from './path-source.ts';

export interface Text {
  /** Left out: the file cannot be read. */
  read?(): string;
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
    const content = new TextEncoder().encode(this.#text.read?.());
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
    const mode = S_IFREG | (this.#text.read ? 0o444 : 0) | (this.#text.write ? 0o200 : 0);
    return { ino: 1n, mode, nlink: 1, size: BigInt(PAGE_SIZE), blksize: PAGE_SIZE, blocks: 0n };
  }
}

const ACCESS_MODE = O_RDONLY | O_WRONLY | O_RDWR;

/** Opens the text for no more than it can do, whoever asks: kernfs_fop_open(). */
export const textFile =
  (text: Text): FileOpener =>
  (flags) => {
    const mode = flags & ACCESS_MODE;
    if ((mode !== O_WRONLY && !text.read) || (mode !== O_RDONLY && !text.write)) return -errno.EACCES;
    return new TextFile(text);
  };
