/** Memory of this process whose address the kernel is told: what a command reads from, or writes to. */

import { MAP_ANONYMOUS, MAP_PRIVATE, PAGE_SIZE, PROT_READ, PROT_WRITE } from '../../abi/linux.ts';
import { type Context, checkReleased, failure, type Result } from '../../host/index.ts';

/** Whole pages, of which `bytes` are the first and zeroes the rest. They are gone when `work` is done. */
export async function withScratch<T>(
  { syscalls }: Context,
  { bytes, size }: { readonly bytes?: Uint8Array; readonly size: number },
  work: (address: bigint) => Promise<Result<T>>,
): Promise<Result<T>> {
  const length = Math.ceil(size / PAGE_SIZE) * PAGE_SIZE;
  const address = await syscalls.mmap(length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0n);
  if (address < 0n) return failure({ syscall: 'mmap', args: { length } }, Number(address));
  try {
    if (bytes && bytes.byteLength > 0) await syscalls.copyIn(address, bytes);
    return await work(address);
  } finally {
    checkReleased({ syscall: 'munmap', args: { address, length } }, await syscalls.munmap(address, length));
  }
}

/** What a command left there. */
export async function readScratch({ syscalls }: Context, address: bigint, size: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  await syscalls.copyOut(address, bytes);
  return bytes;
}
