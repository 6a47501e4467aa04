/** A guest's memory and all who reach it: the host, the guest, and devices. */

import { checkOneOf, checkOptions, U64_MAX, wrongValue } from '../abi/invalid.ts';
import { PAGE_SIZE } from '../abi/linux.ts';
import {
  type ConvertOptions,
  type ConvertRange,
  checkConvert,
  checkRange,
  type GuestMemfd,
  type Mapping,
  type PageState,
  type Range,
} from '../guest-memfd/index.ts';
import { checkPages, type Handle, Resource, type Result, unwrap } from '../host/index.ts';
import type { Vm } from '../kvm/index.ts';
import { type CheckOptions, compareViews, type Discrepancy } from './check.ts';
import { makeRam } from './create.ts';
import type { DmaPiece } from './dma-space.ts';
import { type DmaTarget, keyOf, type MapBy, spaceOf } from './dma-targets.ts';
import { checkRam, checkVm, type GuestRamOptions } from './options.ts';
import { ownRam } from './own.ts';
import type { StateRun } from './page-states.ts';
import type { Ram } from './ram.ts';
import type { Turns } from './turns.ts';

export interface AttachOptions {
  /**
   * The pages that belong there. `shared`, the default: what the host may see, for devices of the host. `private`: for
   * devices the guest trusts, on platforms whose kernels map private memory for them.
   */
  readonly holds?: PageState;
  /** How the kernel is told which memory. Default: `address` for shared pages; private ones have none, so `file`. */
  readonly by?: MapBy;
}

/** A range of guest-physical addresses in bytes; whole pages. */
export interface GuestConvertRange {
  readonly guestPhysAddr: number | bigint;
  readonly size: number | bigint;
  readonly to: PageState;
}

const ONE_PAGE = BigInt(PAGE_SIZE);
const STATES: readonly PageState[] = ['private', 'shared'];
const WAYS: readonly MapBy[] = ['address', 'file'];

/**
 * One memory in a VM's memory regions and in any number of IOASes and VFIO containers, kept in step: a page that is
 * private to the guest is in no space that devices of the host reach.
 *
 * To private: taken from every shared space, converted, given to the trusted ones. To shared: taken from the trusted
 * spaces, converted, given to the shared ones. A refusal anywhere puts everything back as it was. Calls are carried
 * out one after the other, also when several are made at once.
 *
 * ```ts
 * await using ram = await GuestRam.create(vm, { size: 0x400000, regions: [{ slot: 0, guestPhysAddr: 0x1_0000_0000n }] });
 * await ram.attach(ioas);
 * await ram.convert({ offset: 0, size: 0x200000, to: 'shared' });   // devices find it at 0x1_0000_0000
 * ```
 *
 * Where the kernel converts in place it is one guest_memfd. Where attributes of the VM choose between two backings
 * (dialect `vm-attributes`) the shared pages lie in a memfd, and what is in a page is lost when it is converted.
 */
export class GuestRam extends Resource {
  /** Bytes. */
  readonly size: bigint;
  /** The file behind it. Converting it directly goes behind the back of everything here. */
  readonly gmem: GuestMemfd;
  /** All of it as this process sees what is shared. */
  readonly mapping: Mapping;
  readonly #ram: Ram;
  readonly #turns: Turns;

  /** @internal */
  constructor(made: { context: Resource['context']; handle: Handle; ram: Ram; turns: Turns }) {
    super(made.context, made.handle);
    const { size, backing } = made.ram;
    this.size = size;
    this.gmem = backing.gmem;
    this.mapping = backing.mapping;
    this.#ram = made.ram;
    this.#turns = made.turns;
  }

  /**
   * Makes the guest_memfd, maps it, and sets the memory regions. Closing it takes it from all spaces and closes all
   * that it made.
   *
   * @throws KernelError as `vm.createGuestMemfd`, `gmem.map` and `vm.setMemoryRegion`; then nothing is left behind
   * @throws TypeError, RangeError for regions that are not whole pages, not within the memory, or share a part of it
   */
  static async create(vm: Vm, options: GuestRamOptions): Promise<GuestRam> {
    return unwrap(await GuestRam.tryCreate(vm, options));
  }

  /** As `create`, with the kernel's refusal as a value. */
  static async tryCreate(vm: Vm, options: GuestRamOptions): Promise<Result<GuestRam>> {
    checkVm(vm);
    const made = await makeRam(vm, checkRam(options));
    return made.ok ? { ok: true, value: new GuestRam(ownRam(made.value)) } : made;
  }

  /**
   * Gives a space what belongs there, now and from now on, at the guest's own addresses: iova = guest-physical address.
   * As few pieces as the states and the regions allow.
   *
   * | errno  | meaning                                                                             |
   * |--------|-------------------------------------------------------------------------------------|
   * | EEXIST | something else is mapped there in the space                                          |
   * | EINVAL | outside the addresses that the space's IOMMU has (`ioas.iovaRanges()`)               |
   * | ENOMEM | more memory than RLIMIT_MEMLOCK lets be pinned                                       |
   * | ENOSPC | a container's limit of mappings (vfio_iommu_type1.dma_entry_limit)                   |
   *
   * @throws KernelError; then the space is as it was
   */
  async attach(target: DmaTarget, options: AttachOptions = {}): Promise<void> {
    unwrap(await this.tryAttach(target, options));
  }

  /** As `attach`, with the kernel's refusal as a value. */
  async tryAttach(target: DmaTarget, options: AttachOptions = {}): Promise<Result<void>> {
    checkOptions('options', options, ['holds', 'by']);
    const holds = checkOneOf('options.holds', options.holds ?? 'shared', STATES);
    const by = checkOneOf('options.by', options.by ?? (holds === 'shared' ? 'address' : 'file'), WAYS);
    const key = keyOf(target);
    const space = spaceOf(target, this.#ram.backing, by);
    return await this.#inTurn(async () => {
      if (this.#ram.attachmentOf(key)) throw wrongValue('target', 'a space that is not attached yet', target);
      return await this.#ram.attach(space, holds);
    });
  }

  /** Takes everything from a space again. @throws KernelError; then the space has it still */
  async detach(target: DmaTarget): Promise<void> {
    unwrap(await this.tryDetach(target));
  }

  /** As `detach`, with the kernel's refusal as a value. */
  async tryDetach(target: DmaTarget): Promise<Result<void>> {
    const key = keyOf(target);
    return await this.#inTurn(async () => {
      const attachment = this.#ram.attachmentOf(key);
      if (!attachment) throw wrongValue('target', 'a space that is attached', target);
      return await this.#ram.detach(attachment);
    });
  }

  /**
   * Converts a range of the memory and moves it from the spaces of one state to those of the other.
   * All or nothing: whatever is refused, pages, mappings and states are afterwards as they were.
   *
   * | errno  | meaning                                                                                      |
   * |--------|----------------------------------------------------------------------------------------------|
   * | EAGAIN | to private: somebody besides these spaces holds a page; `errorOffset` is its offset           |
   * | ENOMEM | RLIMIT_MEMLOCK does not let the newly shared range be pinned, or the kernel is short of memory |
   *
   * What could not be put back, if anything, is said in the error's hint; `states()` and `mappedIn()` tell what is so.
   *
   * @throws KernelError, RangeError, UnsupportedError, and the signal's reason, as `gmem.convert`
   */
  async convert(range: ConvertRange, options: ConvertOptions = {}): Promise<void> {
    unwrap(await this.tryConvert(range, options));
  }

  /** As `convert`, with the kernel's refusal as a value. */
  async tryConvert(range: ConvertRange, options: ConvertOptions = {}): Promise<Result<void>> {
    const { to, ...within } = this.#within(checkConvert(range));
    return await this.#inTurn(() => this.#ram.convert(within, to, options));
  }

  /**
   * As `convert`, for guest-physical addresses: what a guest asks for with KVM_HC_MAP_GPA_RANGE. They may lie in
   * several memory regions; the parts are converted one after the other, each all or nothing.
   *
   * @throws RangeError when the guest has none of this memory at one of the addresses
   */
  async convertGuest(range: GuestConvertRange, options: ConvertOptions = {}): Promise<void> {
    unwrap(await this.tryConvertGuest(range, options));
  }

  /** As `convertGuest`, with the kernel's refusal as a value. */
  async tryConvertGuest(range: GuestConvertRange, options: ConvertOptions = {}): Promise<Result<void>> {
    checkOptions('range', range, ['guestPhysAddr', 'size', 'to']);
    const to = checkOneOf('range.to', range.to, STATES);
    const size = checkPages('range.size', range.size, ONE_PAGE, U64_MAX);
    const parts = this.#ram.placement.behind(checkPages('range.guestPhysAddr', range.guestPhysAddr, 0n, U64_MAX), size);
    return await this.#inTurn(async () => {
      let result: Result<void> = { ok: true, value: undefined };
      for (const part of parts) if (result.ok) result = await this.#ram.convert(part, to, options);
      return result;
    });
  }

  /**
   * Frees the pages of a range; they read as zeroes when touched again and stay shared or private. Spaces let go of
   * them before and get the new ones after, since a kernel that pins would leave devices the old ones.
   *
   * @throws KernelError as `gmem.punchHole`, and RangeError
   */
  async punchHole(range: Range): Promise<void> {
    unwrap(await this.tryPunchHole(range));
  }

  /** As `punchHole`, with the kernel's refusal as a value. */
  async tryPunchHole(range: Range): Promise<Result<void>> {
    const within = this.#within(checkRange('range', range, ['offset', 'size']));
    return await this.#inTurn(() => this.#ram.punchHole(within));
  }

  /** The runs of shared and private pages, in bytes, in order. */
  states(): StateRun[] {
    return this.#ram.states.within(0n, this.size);
  }

  /** What a space holds at the moment, each piece mapped as one, in the order of the memory. */
  mappedIn(target: DmaTarget): readonly DmaPiece[] {
    return [...(this.#ram.attachmentOf(keyOf(target))?.pieces ?? [])];
  }

  /**
   * Compares the states with what host, guest and devices really see, page by page at the ends of every run (or all
   * pages), and answers every difference. Looking touches pages: what was not there is allocated.
   */
  async check(options: CheckOptions = {}): Promise<Discrepancy[]> {
    return await this.#inTurn(() => compareViews(this.#ram, options));
  }

  #within<R extends { readonly offset: bigint; readonly size: bigint }>(range: R): R {
    checkPages('range.offset', range.offset, 0n, this.size - ONE_PAGE);
    checkPages('range.size', range.size, ONE_PAGE, this.size - range.offset);
    return range;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    return this.handle.use(() => this.#turns.take(work));
  }
}
