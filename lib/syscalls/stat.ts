/** Both backends that call a kernel ask it with statx(2), whose answer looks the same on every architecture. */

import { statx } from '../abi/linux.ts';
import type { Stat } from './seam.ts';

export const STAT_BYTES = statx.size;

export function decodeStat(bytes: Uint8Array): Stat {
  const { stx_ino, stx_mode, stx_nlink, stx_size, stx_blksize, stx_blocks } = statx.decode(bytes);
  return {
    ino: stx_ino,
    mode: stx_mode,
    nlink: stx_nlink,
    size: stx_size,
    blksize: stx_blksize,
    blocks: stx_blocks,
  };
}

/** Text as C has it. */
export const cString = (text: string): Uint8Array => Buffer.from(`${text}\0`);
