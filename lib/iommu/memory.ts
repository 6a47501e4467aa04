/** Memory that belongs to no guest: what a device is given to read and write. */

import { checkBigint, checkOptions } from '../abi/invalid.ts';
import { MAP_ANONYMOUS, MAP_SHARED, PROT_READ, PROT_WRITE } from '../abi/linux.ts';
import { Mapping } from '../guest-memfd/index.ts';
import { type Context, failure, type Result, success } from '../host/index.ts';

export interface MemoryOptions {
  /** Bytes. */
  readonly size: number | bigint;
}

export async function tryMemory(context: Context, options: MemoryOptions): Promise<Result<Mapping>> {
  checkOptions('options', options, ['size']);
  const size = Number(checkBigint('options.size', options.size, 1n, BigInt(Number.MAX_SAFE_INTEGER)));
  return await context.handle.use(async () => {
    const [prot, flags] = [PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS];
    const address = await context.syscalls.mmap(size, prot, flags, -1, 0n);
    if (address < 0n) return failure({ syscall: 'mmap', args: { length: size, prot, flags } }, Number(address));
    const range = { address, size, fileOffset: 0n, fileSize: BigInt(size) };
    return success(new Mapping(context, `Memory at 0x${address.toString(16)}`, range));
  });
}
