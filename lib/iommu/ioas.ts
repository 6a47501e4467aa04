/** An IO address space: what a device sees where. */

import { checkOptions, U64_MAX, wrongType, wrongValue } from '../abi/invalid.ts';
import {
  IOMMU_IOAS_COPY,
  IOMMU_IOAS_MAP,
  IOMMU_IOAS_MAP_FILE,
  IOMMU_IOAS_UNMAP,
  IOMMU_OPTION_HUGE_PAGES,
} from '../abi/iommufd.ts';
import { type Result, success, unwrap } from '../host/index.ts';
import { askMapped } from './ask-mapped.ts';
import { keepingOpen } from './files.ts';
import {
  type CheckedMap,
  checkMap,
  checkMapFile,
  checkTarget,
  type IoasMapFileOptions,
  type IoasMapOptions,
} from './ioas-options.ts';
import { askOption, tellOption } from './iommufd-options.ts';
import { askIovaRanges, type IovaRanges, tellAllowed } from './iova-ranges.ts';
import { checkPieces, type MappedPiece, mapAll } from './map-all.ts';
import { IommufdObject } from './object.ts';
import {
  ACCESS,
  type Access,
  checkInclusive,
  checkIova,
  checkIovaRange,
  checkLength,
  type InclusiveRange,
  type IovaRange,
} from './options.ts';

export interface IoasCopyOptions extends Access {
  /** Where it is mapped already; an IOAS of the same iommufd. Default: this one. */
  readonly from?: Ioas;
  readonly sourceIova: number | bigint;
  /** Bytes. */
  readonly length: number | bigint;
  /** As for `map`. */
  readonly iova?: number | bigint;
}

/** Made by `iommufd.allocIoas()`. */
export class Ioas extends IommufdObject {
  /**
   * Maps memory of this process for the devices that are attached, or will be. As long as none is, hardly anything is
   * checked and nothing is pinned: what is wrong with the memory shows when one is attached. Unmapping the memory here,
   * or punching a hole into its file, takes nothing from the device: it keeps the pages it has.
   *
   * | errno      | meaning                                                                                        |
   * |------------|------------------------------------------------------------------------------------------------|
   * | EEXIST     | something is mapped there                                                                      |
   * | EINVAL     | iova, length or address are not aligned (`iovaRanges().alignment`), or the iova is out of range |
   * | EOVERFLOW  | iova or address and length are more than 64 bits                                               |
   * | ENOSPC     | without iova: there is no room                                                                  |
   * | EFAULT     | with a device: the memory is not there, or may not be written                                   |
   * | ENOMEM     | with a device: it is more than this user may lock (RLIMIT_MEMLOCK)                              |
   *
   * Source: iommufd_ioas_map(), drivers/iommu/iommufd/ioas.c, and iopt_map_user_pages().
   *
   * ```ts
   * const iova = await ioas.map({ address: mapping, iova: 0x1000_0000n });
   * ```
   *
   * @returns the iova
   * @throws KernelError, and RangeError for a range outside the mapping
   */
  async map(options: IoasMapOptions): Promise<bigint> {
    return unwrap(await this.tryMap(options));
  }

  /** As `map`, with the kernel's refusal as a value. */
  async tryMap(options: IoasMapOptions): Promise<Result<bigint>> {
    return await this.#map(checkMap(options));
  }

  /**
   * Maps a file by its descriptor: a memfd, a dma-buf, and where the kernel can a guest_memfd. No access mode and no
   * seal is looked at. As for `map`, an unfit file shows when a device is attached.
   *
   * | errno      | meaning                                                                                        |
   * |------------|------------------------------------------------------------------------------------------------|
   * | EBADF      | the file is not open                                                                            |
   * | EINVAL     | with a device: this kind of file cannot be mapped (guest_memfd in 7.3), or the range ends past it |
   * | EOPNOTSUPP | a dma-buf of an exporter that iommufd cannot map                                               |
   * | ENODEV     | a dma-buf that was revoked                                                                     |
   *
   * and the errnos of `map`. Source: iommufd_ioas_map_file(), drivers/iommu/iommufd/ioas.c.
   *
   * @returns the iova
   * @throws KernelError
   */
  async mapFile(options: IoasMapFileOptions): Promise<bigint> {
    return unwrap(await this.tryMapFile(options));
  }

  /** As `mapFile`, with the kernel's refusal as a value. */
  async tryMapFile(options: IoasMapFileOptions): Promise<Result<bigint>> {
    const { fd, start, length, target } = checkMapFile(options);
    return await keepingOpen(this.context, fd, async () =>
      iovaOf(await this.ask(IOMMU_IOAS_MAP_FILE, { ...target, ioas_id: this.id, fd, start, length })),
    );
  }

  /**
   * Maps several pieces, or none of them: when one is refused, those before it are unmapped again. The failure is the
   * first one; what went wrong while unmapping stands in its `undoing`.
   *
   * @returns the iovas
   * @throws KernelError with `completed`, how many pieces were mapped before
   */
  async mapAll(pieces: readonly IoasMapOptions[]): Promise<bigint[]> {
    return unwrap(await this.tryMapAll(pieces));
  }

  /** As `mapAll`, with the kernel's refusal as a value. */
  async tryMapAll(pieces: readonly IoasMapOptions[]): Promise<Result<bigint[]>> {
    const checked = checkPieces(pieces).map((piece) => checkMap(piece));
    const map = async (piece: CheckedMap): Promise<Result<MappedPiece>> => {
      const result = await this.#map(piece);
      return result.ok ? success({ iova: result.value, length: piece.memory.length }) : result;
    };
    return await mapAll(checked, map, ({ iova, length }) => this.#unmap(iova, length));
  }

  /**
   * Unmaps whole areas, as they were mapped. A refusal may come late: areas at the start of the range are gone then.
   *
   * | errno     | meaning                                                                  |
   * |-----------|--------------------------------------------------------------------------|
   * | ENOENT    | nothing is mapped there, or only part of an area lies in the range        |
   * | EOVERFLOW | iova and length are more than 64 bits                                     |
   * | EBUSY     | an access holds it                                                        |
   *
   * Source: iommufd_ioas_unmap(), drivers/iommu/iommufd/ioas.c, and iopt_unmap_iova().
   *
   * @returns how many bytes were mapped in the range
   * @throws KernelError
   */
  async unmap(range: IovaRange): Promise<bigint> {
    return unwrap(await this.tryUnmap(range));
  }

  /** As `unmap`, with the kernel's refusal as a value. */
  async tryUnmap(range: IovaRange): Promise<Result<bigint>> {
    const { iova, length } = checkIovaRange('range', range);
    if (iova === 0n && length === U64_MAX) throw wrongValue('range', 'less than everything: see unmapAll()', range);
    return await this.#unmap(iova, length);
  }

  /** Unmaps everything; 0 bytes where nothing is. @throws KernelError EBUSY */
  async unmapAll(): Promise<bigint> {
    return unwrap(await this.tryUnmapAll());
  }

  /** As `unmapAll`, with the kernel's refusal as a value. */
  async tryUnmapAll(): Promise<Result<bigint>> {
    return await this.#unmap(0n, U64_MAX);
  }

  /**
   * Maps here what is mapped in an IOAS already, without pinning it or counting it a second time. Any range without
   * holes will do; the areas keep their borders.
   *
   * | errno  | meaning                                                          |
   * |--------|------------------------------------------------------------------|
   * | ENOENT | part of the source is not mapped                                  |
   * | EPERM  | `writeable`, and the memory is mapped read-only in the source     |
   * | EEXIST | something is mapped there                                         |
   *
   * Source: iommufd_ioas_copy(), drivers/iommu/iommufd/ioas.c.
   *
   * @returns the iova
   * @throws KernelError
   */
  async copy(options: IoasCopyOptions): Promise<bigint> {
    return unwrap(await this.tryCopy(options));
  }

  /** As `copy`, with the kernel's refusal as a value. */
  async tryCopy(options: IoasCopyOptions): Promise<Result<bigint>> {
    checkOptions('options', options, ['from', 'sourceIova', 'length', 'iova', ...ACCESS]);
    const { from = this } = options;
    if (!(from instanceof Ioas)) throw wrongType('options.from', 'an Ioas', from);
    if (from.handle.state !== this.handle.state) throw wrongValue('options.from', 'of the same iommufd', from);
    const src_iova = checkIova('options.sourceIova', options.sourceIova);
    const length = checkLength('options.length', options.length);
    const { flags, iova } = checkTarget(options);
    return await from.handle.use(async () => {
      const ids = { dst_ioas_id: this.id, src_ioas_id: from.id };
      const outcome = await this.ask(IOMMU_IOAS_COPY, { flags, ...ids, length, dst_iova: iova, src_iova });
      return outcome.ok ? success(outcome.out.dst_iova) : outcome;
    });
  }

  /**
   * Whether all of the range is mapped, in however many areas. It is found out by copying it elsewhere for a moment.
   *
   * @throws KernelError ENOMEM
   */
  async isMapped(range: IovaRange): Promise<boolean> {
    return unwrap(await this.tryIsMapped(range));
  }

  /** As `isMapped`, with the kernel's refusal as a value. */
  async tryIsMapped(range: IovaRange): Promise<Result<boolean>> {
    const checked = checkIovaRange('range', range);
    return await this.handle.use(() => askMapped(this.handle.state, this.id, checked));
  }

  /**
   * Where the kernel may choose an iova from now on; an empty list: anywhere. Fixed iovas are not bound by it.
   *
   * | errno      | meaning                                                              |
   * |------------|----------------------------------------------------------------------|
   * | EADDRINUSE | a device cannot use all of a range                                    |
   * | EINVAL     | ranges overlap, or one is a single byte, or its end is before its start |
   *
   * Source: iommufd_ioas_allow_iovas(), drivers/iommu/iommufd/ioas.c.
   *
   * @throws KernelError
   */
  async allowIovas(ranges: readonly InclusiveRange[]): Promise<void> {
    unwrap(await this.tryAllowIovas(ranges));
  }

  /** As `allowIovas`, with the kernel's refusal as a value. */
  async tryAllowIovas(ranges: readonly InclusiveRange[]): Promise<Result<void>> {
    const list = checkInclusive('ranges', ranges);
    return await this.handle.use(() => tellAllowed(this.handle.state, this.id, list));
  }

  /** Where something can be mapped, and how it must be aligned; both depend on what is attached. @throws KernelError */
  async iovaRanges(): Promise<IovaRanges> {
    return unwrap(await this.tryIovaRanges());
  }

  /** As `iovaRanges`, with the kernel's refusal as a value. */
  async tryIovaRanges(): Promise<Result<IovaRanges>> {
    return await this.handle.use(() => askIovaRanges(this.handle.state, this.id));
  }

  /** Whether page table entries larger than a page are used; IOMMU_OPTION_HUGE_PAGES. Default: true. */
  async hugePages(): Promise<boolean> {
    return unwrap(await this.tryHugePages());
  }

  /** As `hugePages`, with the kernel's refusal as a value. */
  async tryHugePages(): Promise<Result<boolean>> {
    const answer = await this.handle.use(() => askOption(this.handle.state, IOMMU_OPTION_HUGE_PAGES, this.id));
    return answer.ok ? success(answer.value !== 0n) : answer;
  }

  /** Sets what `hugePages` tells. @throws KernelError EINVAL when something is mapped for a device */
  async setHugePages(on: boolean): Promise<void> {
    unwrap(await this.trySetHugePages(on));
  }

  /** As `setHugePages`, with the kernel's refusal as a value. */
  async trySetHugePages(on: boolean): Promise<Result<void>> {
    if (typeof on !== 'boolean') throw wrongType('on', 'a boolean', on);
    const value = on ? 1n : 0n;
    return await this.handle.use(() => tellOption(this.handle.state, IOMMU_OPTION_HUGE_PAGES, this.id, value));
  }

  async #map({ memory, target }: CheckedMap): Promise<Result<bigint>> {
    return await memory.place(async (user_va) =>
      iovaOf(await this.ask(IOMMU_IOAS_MAP, { ...target, ioas_id: this.id, user_va, length: memory.length })),
    );
  }

  async #unmap(iova: bigint, length: bigint): Promise<Result<bigint>> {
    const outcome = await this.ask(IOMMU_IOAS_UNMAP, { ioas_id: this.id, iova, length });
    return outcome.ok ? success(outcome.out.length) : outcome;
  }
}

function iovaOf<O extends { readonly ok: boolean; readonly out: { readonly iova: bigint } }>(
  outcome: O,
): Result<bigint> {
  return outcome.ok ? success(outcome.out.iova) : (outcome as unknown as Result<bigint>);
}
