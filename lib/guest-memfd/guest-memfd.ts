/** A guest_memfd: memory for a guest, which the host may see where it is shared. */

import { type HugePageSize, hugePageSizeOf } from '../abi/huge-pages.ts';
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, MAP_SHARED } from '../abi/linux.ts';
import {
  type Context,
  FdResource,
  failure,
  flagRules,
  type OwnedFd,
  type Result,
  success,
  unwrap,
} from '../host/index.ts';
import type { Stat } from '../syscalls/seam.ts';
import type { Bindings } from './bindings.ts';
import { convertAll, planConversion } from './convert.ts';
import { Mapping } from './mapping.ts';
import {
  type ConvertRange,
  checkConvert,
  checkMap,
  checkRange,
  type MapOptions,
  type PageState,
  type Range,
} from './options.ts';
import { type ConvertOptions, checkPatience } from './retry.ts';

/** The file behind one or several descriptors. */
export interface GuestMemfdFile {
  readonly size: bigint;
  readonly flags: bigint;
  readonly bindings: Bindings;
}

/** Made by `vm.createGuestMemfd()`. The kernel keeps the VM alive for as long as it, or a mapping of it, is open. */
export class GuestMemfd extends FdResource {
  /** Bytes. It never changes. */
  readonly size: bigint;
  /** The kernel's creation flags; what they mean depends on the dialect. */
  readonly flags: bigint;
  /** The state of all pages at first. */
  readonly initially: PageState;
  /** What its memory is made of; undefined for single pages, and for the size that is the system's default. */
  readonly hugePageSize: HugePageSize | undefined;
  readonly #bindings: Bindings;

  constructor(context: Context, handle: OwnedFd, { size, flags, bindings }: GuestMemfdFile) {
    super(context, handle);
    this.size = size;
    this.flags = flags;
    const rules = flagRules[context.features.dialect];
    this.initially = rules.initially(flags);
    this.hugePageSize = rules.hugePages && hugePageSizeOf(flags);
    this.#bindings = bindings;
  }

  /** What `vm.setMemoryRegion()` needs of it; the context, since an fd's number means nothing on another host. @internal */
  static internals(gmem: GuestMemfd): { context: Context; handle: OwnedFd; bindings: Bindings } {
    return { context: gmem.context, handle: gmem.handle, bindings: gmem.#bindings };
  }

  /**
   * Maps it into this process, shared. A mapping past the end, or of private pages, is made all the same;
   * accesses to such pages answer EFAULT.
   *
   * | errno  | meaning                                                                |
   * |--------|------------------------------------------------------------------------|
   * | ENODEV | it was made without `mmap: true`                                        |
   * | EPERM  | PROT_EXEC: guest_memfd lives on a noexec mount                          |
   * | EINVAL | with huge pages (RFC v2): size is no multiple of them                   |
   * | ENOMEM | no address space, or too many mappings (vm.max_map_count)               |
   *
   * Source: kvm_gmem_mmap(), virt/kvm/guest_memfd.c.
   *
   * @throws KernelError, and RangeError for an offset that is not page aligned
   */
  async map(options: MapOptions = {}): Promise<Mapping> {
    return unwrap(await this.tryMap(options));
  }

  /** As `map`, with the kernel's refusal as a value. */
  async tryMap(options: MapOptions = {}): Promise<Result<Mapping>> {
    const { offset, size, prot } = checkMap(options, this.size);
    return await this.create(async (fd) => {
      const address = await this.context.syscalls.mmap(size, prot, MAP_SHARED, fd, offset);
      if (address < 0n) {
        return failure({ syscall: 'mmap', fd, args: { length: size, prot, offset } }, Number(address));
      }
      const range = { address, size, fileOffset: offset, fileSize: this.size };
      return success(new Mapping(this.context, `Mapping of fd ${fd} at 0x${address.toString(16)}`, range));
    });
  }

  /**
   * Makes a range private to the guest, or shared with the host. In place: the page stays, and so do its contents on
   * a software-protected VM; what SEV-SNP and TDX leave in it is theirs to define. Converting what already is so does
   * nothing. All of the range is converted or none, except with the dialect `vm-attributes` when the range lies in
   * several memory regions: the error's `completed` then says how many bytes were.
   *
   * | errno  | meaning                                                                                          |
   * |--------|--------------------------------------------------------------------------------------------------|
   * | EAGAIN | to private only: a page is still referenced (a pin, an IOMMU mapping, I/O or a guest's fault in flight); `errorOffset` is its offset in the file |
   * | EINVAL | the range ends past the file; with `attributes2` and `vm-attributes` also: the VM has no private memory |
   * | ENOMEM | the kernel is short of memory; nothing changed                                                   |
   *
   * A page referenced for a moment is what `retry` is for. With `vm-attributes` the request goes to the VM, for the
   * guest-physical addresses that the range has in its memory regions; there, what a region shows the guest starts
   * out shared whatever `initially` says, so convert to private first where it matters.
   *
   * ```ts
   * await gmem.convert({ offset: 0, size: 0x200000, to: 'private' }, { retry: { attempts: 5, delayMs: 10 } });
   * ```
   *
   * @throws KernelError with `attempts`, and on EAGAIN `errorOffset`
   * @throws RangeError for a range that is empty or not page aligned, or (`vm-attributes`) not all in memory regions
   * @throws UnsupportedError when the kernel has no conversion
   * @throws the signal's reason once it is aborted; a request already in the kernel ends first
   */
  async convert(range: ConvertRange, options: ConvertOptions = {}): Promise<void> {
    unwrap(await this.tryConvert(range, options));
  }

  /** As `convert`, with the kernel's refusal as a value. Aborting and having no conversion still throw. */
  async tryConvert(range: ConvertRange, options: ConvertOptions = {}): Promise<Result<void>> {
    const { offset, size, to } = checkConvert(range);
    const patience = checkPatience(options);
    this.handle.checkOpen();
    const file = { fd: this.handle, flags: this.flags, bindings: this.#bindings };
    return await convertAll(this.context, planConversion(this.context, file, offset, size, to), patience);
  }

  /**
   * Frees the pages of a range. They read as zeroes when touched again, and stay private or shared as they were.
   * A range past the end of the file is fine.
   *
   * | errno  | meaning                                                                                  |
   * |--------|------------------------------------------------------------------------------------------|
   * | EAGAIN | huge pages (RFC v2) only: a shared one is still referenced; earlier parts are punched     |
   *
   * Source: kvm_gmem_punch_hole(), virt/kvm/guest_memfd.c.
   *
   * @throws KernelError, and RangeError for a range that is empty or not page aligned
   */
  async punchHole(range: Range): Promise<void> {
    unwrap(await this.tryPunchHole(range));
  }

  /** As `punchHole`, with the kernel's refusal as a value. */
  async tryPunchHole(range: Range): Promise<Result<void>> {
    return await this.#fallocate(range, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE);
  }

  /**
   * Allocates the pages of a range now instead of at their first use.
   *
   * | errno  | meaning                                                        |
   * |--------|----------------------------------------------------------------|
   * | EINVAL | the range ends past the file                                    |
   * | ENOMEM | no memory; what was allocated before stays                      |
   * | EINTR  | a signal came; likewise                                         |
   *
   * Source: kvm_gmem_allocate(), virt/kvm/guest_memfd.c.
   *
   * @throws KernelError, and RangeError for a range that is empty or not page aligned
   */
  async allocate(range: Range): Promise<void> {
    unwrap(await this.tryAllocate(range));
  }

  /** As `allocate`, with the kernel's refusal as a value. */
  async tryAllocate(range: Range): Promise<Result<void>> {
    return await this.#fallocate(range, FALLOC_FL_KEEP_SIZE);
  }

  /** fstat(2): `size` in bytes, `blocks` of 512 bytes, and the inode number, which all descriptors of the file share. */
  async stat(): Promise<Stat> {
    return unwrap(await this.tryStat());
  }

  /** As `stat`, with the kernel's refusal as a value. */
  async tryStat(): Promise<Result<Stat>> {
    return await this.handle.use(async () => {
      const fd = this.handle.number;
      const stat = await this.context.syscalls.fstat(fd);
      return typeof stat === 'number' ? failure({ syscall: 'fstat', fd }, stat) : success(stat);
    });
  }

  /** Another descriptor of the same file, to be closed on its own. @throws KernelError EMFILE */
  async dup(): Promise<GuestMemfd> {
    return unwrap(await this.tryDup());
  }

  /** As `dup`, with the kernel's refusal as a value. */
  async tryDup(): Promise<Result<GuestMemfd>> {
    return await this.create(async (fd) => {
      const copy = await this.context.syscalls.dup(fd);
      if (copy < 0) return failure({ syscall: 'dup', fd }, copy);
      const file = { size: this.size, flags: this.flags, bindings: this.#bindings };
      return success(new GuestMemfd(this.context, this.context.own('GuestMemfd', copy), file));
    });
  }

  async #fallocate(range: Range, mode: number): Promise<Result<void>> {
    const { offset, size } = checkRange('range', range, ['offset', 'size']);
    return await this.handle.use(async () => {
      const fd = this.handle.number;
      const ret = await this.context.syscalls.fallocate(fd, mode, offset, size);
      return ret < 0
        ? failure({ syscall: 'fallocate', fd, args: { mode, offset, length: size } }, ret)
        : success(undefined);
    });
  }
}
