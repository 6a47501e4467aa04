/**
 * The mappings made through one backend. Addresses from elsewhere are refused: unmapping or overwriting them could
 * take down the process.
 */

import { checkBigint, outOfRange, U64_MAX, wrongType } from '../abi/invalid.ts';
import { checkLength } from './arguments.ts';

const PAGE = 4096;
const roundUp = (length: number): number => Math.ceil(length / PAGE) * PAGE;

export class Mappings {
  /** Start address to length, as mmap was given it. */
  readonly #lengths = new Map<bigint, number>();

  add(address: bigint, length: number): void {
    this.#lengths.set(address, length);
  }

  /** Forgets a whole mapping, which the caller is about to unmap. */
  remove(address: bigint, length: number): void {
    this.checkWhole(address, length);
    this.#lengths.delete(address);
  }

  checkWhole(address: bigint, length: number): void {
    if (typeof address !== 'bigint') throw wrongType('address', 'a bigint', address);
    if (this.#lengths.get(address) !== checkLength(length)) {
      throw outOfRange('address and length', 'those of one mapping made here and not yet unmapped', {
        address,
        length,
      });
    }
  }

  /** Throws unless [address, address + length) lies in one live mapping; the tail of its last page counts as inside. */
  checkInside(address: bigint, length: number): void {
    if (typeof address !== 'bigint') throw wrongType('address', 'a bigint', address);
    checkBigint('address', address, 0n, U64_MAX);
    checkLength(length);
    for (const [start, mapped] of this.#lengths) {
      if (address >= start && address + BigInt(length) <= start + BigInt(roundUp(mapped))) return;
    }
    throw outOfRange('address', `the start of ${length} bytes in a mapping made here and not yet unmapped`, address);
  }
}
