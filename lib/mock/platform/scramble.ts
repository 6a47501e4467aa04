/** Bytes nobody wrote: what reads back where hardware promises nothing. The same for every run. */

import { PAGE_SIZE } from '../../abi/linux.ts';
import type { Folio } from '../memory.ts';

/** Turns the page's bytes into noise, and, like a cipher with one key, noise back into the bytes. */
export function scramble({ bytes }: Folio, key = 0): void {
  bytes.set(noised(bytes, key));
}

/** The same on a copy. */
export const scrambled = (folio: Folio, key = 0): Uint8Array => noised(plain(folio), key);

export function plain(folio: Folio): Uint8Array {
  const bytes = new Uint8Array(PAGE_SIZE);
  folio.copyTo(bytes, 0);
  return bytes;
}

const noised = (bytes: Uint8Array, key: number): Uint8Array => bytes.map((byte, i) => byte ^ noise(i, key));

const noise = (at: number, key: number): number => (at * 167 + key * 59 + 0x5a) & 0xff;
