/**
 * The mappings made through one backend. Addresses from elsewhere are refused: unmapping or overwriting them could
 * take down the process.
 */

import { checkBigint, outOfRange, U64_MAX, wrongType } from '../abi/invalid.ts';
import { PAGE_SIZE } from '../abi/linux.ts';
import { checkLength } from './arguments.ts';
import { callsInFlight } from './in-flight.ts';

const roundUp = (length: number): number => Math.ceil(length / PAGE_SIZE) * PAGE_SIZE;

interface Mapping {
  readonly start: bigint;
  /** As mmap was given it. */
  readonly length: number;
  /** The end of its last page: the tail of that page can be used, too. */
  readonly end: bigint;
}

export class Mappings {
  /** In order of address; the kernel sees to it that none overlap. */
  readonly #sorted: Mapping[] = [];
  /** Addresses in use by races. */
  readonly #held = new Set<{ readonly at: bigint }>();

  add(address: bigint, length: number): void {
    const mapping = { start: address, length, end: address + BigInt(roundUp(length)) };
    this.#sorted.splice(this.#countUpTo(address), 0, mapping);
  }

  /** Forgets a whole mapping, which the caller is about to unmap. Throws ERR_CALLS_IN_FLIGHT where it is held. */
  remove(address: bigint, length: number): void {
    this.checkWhole(address, length);
    const end = address + BigInt(roundUp(length));
    const held = [...this.#held].filter(({ at }) => at >= address && at < end).length;
    if (held > 0) throw callsInFlight(held, 'of a race in this mapping', 'unmapping it');
    this.#sorted.splice(this.#countUpTo(address) - 1, 1);
  }

  /** The mappings with these addresses stay until they are let go. */
  hold(addresses: readonly bigint[]): () => void {
    const held = addresses.map((at) => ({ at }));
    for (const one of held) this.#held.add(one);
    return () => {
      for (const one of held) this.#held.delete(one);
    };
  }

  checkWhole(address: bigint, length: number): void {
    if (typeof address !== 'bigint') throw wrongType('address', 'a bigint', address);
    checkLength(length);
    const found = this.#sorted[this.#countUpTo(address) - 1];
    if (found?.start !== address || found.length !== length) {
      throw outOfRange('address and length', 'those of one mapping made here and not yet unmapped', {
        address,
        length,
      });
    }
  }

  /**
   * Throws unless [address, address + length) lies in one live mapping; the tail of its last page counts as inside.
   * @returns how many bytes the mapping has from there on.
   */
  checkInside(address: bigint, length: number): number {
    if (typeof address !== 'bigint') throw wrongType('address', 'a bigint', address);
    checkBigint('address', address, 0n, U64_MAX);
    checkLength(length);
    const found = this.#sorted[this.#countUpTo(address) - 1];
    if (found !== undefined && address + BigInt(length) <= found.end) return Number(found.end - address);
    throw outOfRange('address', `the start of ${length} bytes in a mapping made here and not yet unmapped`, address);
  }

  /** How many mappings start at or below the address. */
  #countUpTo(address: bigint): number {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#sorted[middle] as Mapping).start <= address) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
