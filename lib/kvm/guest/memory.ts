/** The guest's own memory: ordinary memory of this process, in a memory region of its own. */

import { MAP_ANONYMOUS, MAP_SHARED, PAGE_SIZE, PROT_READ, PROT_WRITE } from '../../abi/linux.ts';
import { Mapping } from '../../guest-memfd/index.ts';
import { type Context, failure, type Result, success } from '../../host/index.ts';
import { LARGE_PAGE, TABLE_PAGES } from './paging.ts';
import { codePage } from './program.ts';

const TABLES = TABLE_PAGES * PAGE_SIZE;
const LARGEST_BUFFER = 128 * PAGE_SIZE;

/** The code first, then for each vCPU its tables and its buffer; all in the one large page that leads there. */
export class GuestMemory {
  readonly mapping: Mapping;
  /** Bytes. */
  readonly size: number;
  /** Bytes one run of a vCPU moves at most. */
  readonly bufferSize: number;

  private constructor(mapping: Mapping, bufferSize: number) {
    this.mapping = mapping;
    this.size = mapping.size;
    this.bufferSize = bufferSize;
  }

  static async make(context: Context, vcpus: number): Promise<Result<GuestMemory>> {
    const bufferSize = bufferOf(vcpus);
    const size = PAGE_SIZE + vcpus * (TABLES + bufferSize);
    const flags = MAP_SHARED | MAP_ANONYMOUS;
    const address = await context.syscalls.mmap(size, PROT_READ | PROT_WRITE, flags, -1, 0n);
    if (address < 0n) return failure({ syscall: 'mmap', args: { length: size, flags } }, Number(address));
    const range = { address, size, fileOffset: 0n, fileSize: BigInt(size) };
    const mapping = new Mapping(context, `memory of a guest at 0x${address.toString(16)}`, range);
    const written = await mapping.tryWrite(0, codePage(PAGE_SIZE));
    if (written.ok) return success(new GuestMemory(mapping, bufferSize));
    await mapping.close();
    return written;
  }

  tables(vcpu: number): number {
    return PAGE_SIZE + vcpu * (TABLES + this.bufferSize);
  }

  buffer(vcpu: number): number {
    return this.tables(vcpu) + TABLES;
  }
}

/** Each vCPU's share of the large page, in whole pages, less its tables. */
function bufferOf(vcpus: number): number {
  const share = Math.floor((LARGE_PAGE - PAGE_SIZE) / vcpus / PAGE_SIZE) * PAGE_SIZE;
  return Math.min(share - TABLES, LARGEST_BUFFER);
}
