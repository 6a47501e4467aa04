/** The guest's own memory: ordinary memory of this process, in a memory region of its own. */

import { MAP_ANONYMOUS, MAP_SHARED, PAGE_SIZE, PROT_READ, PROT_WRITE } from '../../abi/linux.ts';
import { Mapping } from '../../guest-memfd/index.ts';
import { type Context, failure, type Result, success } from '../../host/index.ts';
import { TABLE_PAGES } from './paging.ts';
import { codePage } from './program.ts';

/** Bytes one run moves at most. */
export const BUFFER = 16 * PAGE_SIZE;
const PER_VCPU = TABLE_PAGES * PAGE_SIZE + BUFFER;

/** The code first, then for each vCPU its tables and its buffer. */
export class GuestMemory {
  readonly mapping: Mapping;
  /** Bytes. */
  readonly size: number;

  private constructor(mapping: Mapping) {
    this.mapping = mapping;
    this.size = mapping.size;
  }

  static async make(context: Context, vcpus: number): Promise<Result<GuestMemory>> {
    const size = PAGE_SIZE + vcpus * PER_VCPU;
    const flags = MAP_SHARED | MAP_ANONYMOUS;
    const address = await context.syscalls.mmap(size, PROT_READ | PROT_WRITE, flags, -1, 0n);
    if (address < 0n) return failure({ syscall: 'mmap', args: { length: size, flags } }, Number(address));
    const range = { address, size, fileOffset: 0n, fileSize: BigInt(size) };
    const mapping = new Mapping(context, `memory of a guest at 0x${address.toString(16)}`, range);
    const written = await mapping.tryWrite(0, codePage(PAGE_SIZE));
    if (written.ok) return success(new GuestMemory(mapping));
    await mapping.close();
    return written;
  }

  tables(vcpu: number): number {
    return PAGE_SIZE + vcpu * PER_VCPU;
  }

  buffer(vcpu: number): number {
    return this.tables(vcpu) + TABLE_PAGES * PAGE_SIZE;
  }
}
