/** The host's pools of huge pages, as the kernel counts them under /sys/kernel/mm/hugepages. */

import {
  type HugePageCounter,
  type HugePageSize,
  hugePageBytes,
  hugePageCounters,
  hugePageFile,
  hugePageSizes,
} from '../abi/huge-pages.ts';
import { O_CLOEXEC, O_RDONLY } from '../abi/linux.ts';
import type { Syscalls } from '../syscalls/seam.ts';

/** Numbers of huge pages. */
export interface HugePagePool {
  readonly size: HugePageSize;
  /** nr_hugepages: all there are. */
  readonly total: number;
  /** free_hugepages: those that nobody has yet; some of them may be promised. */
  readonly free: number;
  /** resv_hugepages: free ones that are promised, to a guest_memfd from its creation on. */
  readonly reserved: number;
  /** surplus_hugepages: those beyond the pool's size that must go back to ordinary memory. */
  readonly surplus: number;
  /** nr_overcommit_hugepages: how many of them there may be. */
  readonly overcommit: number;
}

const NAMES: Readonly<Record<HugePageCounter, Exclude<keyof HugePagePool, 'size'>>> = {
  nr_hugepages: 'total',
  free_hugepages: 'free',
  resv_hugepages: 'reserved',
  surplus_hugepages: 'surplus',
  nr_overcommit_hugepages: 'overcommit',
};

/** The pools of every size that the kernel has, smallest first. Without hugetlbfs there are none. */
export async function readHugePagePools(syscalls: Syscalls): Promise<HugePagePool[]> {
  const pools: HugePagePool[] = [];
  for (const size of hugePageSizes) {
    const pool = await readPool(syscalls, size);
    if (pool) pools.push(pool);
  }
  return pools;
}

async function readPool(syscalls: Syscalls, size: HugePageSize): Promise<HugePagePool | undefined> {
  const pool = { size, total: 0, free: 0, reserved: 0, surplus: 0, overcommit: 0 };
  for (const counter of hugePageCounters) {
    const count = await readNumber(syscalls, hugePageFile(size, counter));
    if (count === undefined) return undefined;
    pool[NAMES[counter]] = count;
  }
  return pool;
}

async function readNumber(syscalls: Syscalls, path: string): Promise<number | undefined> {
  const fd = await syscalls.open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return undefined;
  try {
    const bytes = new Uint8Array(32);
    const length = await syscalls.read(fd, bytes);
    return length > 0 ? Number(new TextDecoder().decode(bytes.subarray(0, length))) : undefined;
  } finally {
    await syscalls.close(fd);
  }
}

/** What to do when a file of so many bytes finds too few pages. */
export const poolHint = (size: HugePageSize, bytes: bigint): string =>
  `the file needs ${bytes / hugePageBytes(size)} huge pages of ${size} that are free and not promised to others ` +
  `(${hugePageFile(size, 'free_hugepages')} less resv_hugepages there): ` +
  `write a larger number to ${hugePageFile(size, 'nr_hugepages')}, as root; or the kernel is short of ordinary memory`;
