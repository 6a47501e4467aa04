/** Whether guest code runs here: not every machine with a /dev/kvm can, nested ones least of all. */

import { PAGE_SIZE } from '../../abi/linux.ts';
import { describeExit, type VcpuExit } from '../exits.ts';
import type { Guest } from './guest.ts';

export interface GuestSupport {
  readonly available: boolean;
  /** What was tried and what came of it. */
  readonly why: string;
}

/** A guest of a few instructions takes microseconds, and a second where a busy machine emulates the CPU it runs on. */
const PATIENCE_MS = 5_000;
const ROUNDS = 3;

/**
 * Lets a guest write a page and read it back, some times over. The page should come from a guest_memfd that is mapped
 * nowhere: KVMs that emulate their guests instead of running them reach memory through the host's mapping only.
 */
export async function tryGuest(guest: Guest, gpa: bigint): Promise<GuestSupport> {
  for (let round = 1; round <= ROUNDS; round++) {
    const page = new Uint8Array(PAGE_SIZE).fill(round);
    const written = await guest.write(gpa, page, { signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!written.ok) return failed('writes', written.exit);
    const read = await guest.read(gpa, PAGE_SIZE, { signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!read.ok) return failed('reads', read.exit);
    if (Buffer.compare(read.bytes, page) !== 0) return no('a guest that read what it had written got something else');
  }
  return { available: true, why: 'a guest of a few instructions did what it should' };
}

const no = (why: string): GuestSupport => ({ available: false, why });

function failed(what: string, exit: VcpuExit): GuestSupport {
  const outcome = exit.reason === 'interrupted' ? `nothing for ${PATIENCE_MS} ms` : describeExit(exit);
  return no(`a guest of a few instructions that ${what} one page: ${outcome}`);
}
