/**
 * What is behind the memory: one guest_memfd for both states where the kernel converts in place; a guest_memfd for the
 * private pages and a memfd for the shared ones where the VM's attributes choose between two backings.
 */

import type { HugePageSize } from '../abi/huge-pages.ts';
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, MAP_SHARED, PROT_READ, PROT_WRITE } from '../abi/linux.ts';
import { type GuestMemfd, Mapping, type PageState } from '../guest-memfd/index.ts';
import { type Context, failure, type OwnedFd, type Result, success } from '../host/index.ts';
import type { Vm } from '../kvm/index.ts';
import type { FileRange } from './placement.ts';

export interface Backing {
  readonly gmem: GuestMemfd;
  /** Whether both states of a page are one page. */
  readonly isOneFile: boolean;
  /** Shared memory as this process, and so a device, sees it. */
  readonly mapping: Mapping;
  /** Gives back the memory of the side that a range was converted from; nothing where both sides are one. */
  discard(range: FileRange, side: PageState): Promise<Result<void>>;
  /** Frees the memory of a range that is all in this state. */
  punch(range: FileRange, state: PageState): Promise<Result<void>>;
  close(): Promise<void>;
}

export interface BackingOptions {
  readonly size: bigint;
  readonly initially: PageState;
  readonly hugePageSize: HugePageSize | undefined;
}

const huge = ({ hugePageSize }: BackingOptions): { hugePageSize?: HugePageSize } =>
  hugePageSize ? { hugePageSize } : {};

/** Whether shared and private pages lie in files of their own. */
export const hasTwoFiles = ({ features }: Context): boolean => features.dialect === 'vm-attributes';

/** The kind that this kernel has. */
export function createBacking(vm: Vm, context: Context, options: BackingOptions): Promise<Result<Backing>> {
  return hasTwoFiles(context) ? twoFiles(vm, context, options) : inPlace(vm, options);
}

async function inPlace(vm: Vm, options: BackingOptions): Promise<Result<Backing>> {
  const { size, initially } = options;
  const gmem = await vm.tryCreateGuestMemfd({ size, mmap: true, initially, ...huge(options) });
  if (!gmem.ok) return gmem;
  const mapping = await gmem.value.tryMap();
  if (!mapping.ok) {
    await gmem.value.close();
    return mapping;
  }
  const close = async (): Promise<void> => {
    await mapping.value.close();
    await gmem.value.close();
  };
  return success({
    gmem: gmem.value,
    isOneFile: true,
    mapping: mapping.value,
    discard: async () => success(undefined),
    punch: (range) => gmem.value.tryPunchHole(range),
    close,
  });
}

async function twoFiles(vm: Vm, context: Context, options: BackingOptions): Promise<Result<Backing>> {
  const { size } = options;
  const gmem = await vm.tryCreateGuestMemfd({ size, ...huge(options) });
  if (!gmem.ok) return gmem;
  const shared = await sharedMemory(context, size);
  if (!shared.ok) {
    await gmem.value.close();
    return shared;
  }
  const { memfd, mapping } = shared.value;
  const close = async (): Promise<void> => {
    await mapping.close();
    await context.close(memfd);
    await gmem.value.close();
  };
  const free = (range: FileRange, side: PageState): Promise<Result<void>> =>
    side === 'private' ? gmem.value.tryPunchHole(range) : punch(context, memfd, range);
  return success({ gmem: gmem.value, isOneFile: false, mapping, discard: free, punch: free, close });
}

/** A memfd of this size, mapped. */
async function sharedMemory(context: Context, size: bigint): Promise<Result<{ memfd: OwnedFd; mapping: Mapping }>> {
  const { syscalls } = context;
  const fd = await syscalls.memfdCreate('guest-ram', 0);
  if (fd < 0) return failure({ syscall: 'memfd_create' }, fd);
  const memfd = context.own('shared memory of a GuestRam', fd);
  const sized = await syscalls.ftruncate(fd, size);
  const address = sized < 0 ? 0n : await syscalls.mmap(Number(size), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0n);
  if (sized < 0 || address < 0n) {
    await context.close(memfd);
    return sized < 0
      ? failure({ syscall: 'ftruncate', fd, args: { length: size } }, sized)
      : failure({ syscall: 'mmap', fd, args: { length: size } }, Number(address));
  }
  const range = { address, size: Number(size), fileOffset: 0n, fileSize: size };
  return success({ memfd, mapping: new Mapping(context, `Mapping of fd ${fd} at 0x${address.toString(16)}`, range) });
}

function punch({ syscalls }: Context, memfd: OwnedFd, { offset, size }: FileRange): Promise<Result<void>> {
  const mode = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE;
  return memfd.use(async () => {
    const fd = memfd.number;
    const ret = await syscalls.fallocate(fd, mode, offset, size);
    return ret < 0
      ? failure({ syscall: 'fallocate', fd, args: { mode, offset, length: size } }, ret)
      : success(undefined);
  });
}
