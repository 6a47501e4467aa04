/** A VFIO container: one address space for all groups in it, managed by a type1 driver or, in its place, by iommufd. */

import { checkInteger, checkOneOf, checkOptions, wrongType } from '../abi/invalid.ts';
import type { Ioctl, IoctlOut } from '../abi/ioctl.ts';
import {
  VFIO_CHECK_EXTENSION,
  VFIO_DMA_CC_IOMMU,
  VFIO_DMA_MAP_FLAG_READ,
  VFIO_DMA_MAP_FLAG_WRITE,
  VFIO_DMA_UNMAP_FLAG_ALL,
  VFIO_GET_API_VERSION,
  VFIO_IOMMU_DIRTY_PAGES,
  VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP,
  VFIO_IOMMU_DIRTY_PAGES_FLAG_START,
  VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP,
  VFIO_IOMMU_GET_INFO,
  VFIO_IOMMU_INFO_CAPS,
  VFIO_IOMMU_MAP_DMA,
  VFIO_IOMMU_UNMAP_DMA,
  VFIO_NOIOMMU_IOMMU,
  VFIO_SET_IOMMU,
  VFIO_TYPE1_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  VFIO_UNMAP_ALL,
  VFIO_UPDATE_VADDR,
  vfioWithBitmap,
} from '../abi/vfio.ts';
import {
  capabilityChain,
  findCapability,
  vfioDmaAvailable,
  vfioIovaRanges,
  vfioMigration,
} from '../abi/vfio-capabilities.ts';
import {
  FdResource,
  type IoctlOutcome,
  issue,
  prepareIoctl,
  type RawArg,
  type Result,
  success,
  unwrap,
} from '../host/index.ts';
import { checkDirty, DirtyBitmap, type DirtyOptions } from './hwpt.ts';
import { checkPieces, type MappedPiece, mapAll } from './map-all.ts';
import {
  type CheckedMemory,
  checkAccess,
  checkIova,
  checkIovaRange,
  checkMemory,
  type IovaRange,
  type MapMemoryOptions,
  MEMORY,
} from './options.ts';

/** The drivers of a container. They differ in what may be unmapped: v2 takes whole mappings only, v1 also asks for more. */
const DRIVERS = { type1: VFIO_TYPE1_IOMMU, type1v2: VFIO_TYPE1v2_IOMMU, noiommu: VFIO_NOIOMMU_IOMMU } as const;
export type ContainerDriver = keyof typeof DRIVERS;

const EXTENSIONS = {
  ...DRIVERS,
  'dma-cache-coherent': VFIO_DMA_CC_IOMMU,
  'unmap-all': VFIO_UNMAP_ALL,
  'update-vaddr': VFIO_UPDATE_VADDR,
} as const;
export type ContainerExtension = keyof typeof EXTENSIONS;

export interface MapDmaOptions extends MapMemoryOptions {
  /** Where the device sees it. */
  readonly iova: number | bigint;
}

export interface ContainerInfo {
  /** One bit for each page size that the IOMMU knows. */
  readonly pageSizes: bigint;
  /** Where something can be mapped, both ends included; where the driver tells. */
  readonly iovaRanges?: readonly { readonly start: bigint; readonly end: bigint }[];
  /** How many more mappings there may be, where the driver tells. */
  readonly mappingsLeft?: number;
  /** Dirty tracking, where the driver has it. */
  readonly dirtyTracking?: { readonly pageSizes: bigint; readonly maxBitmapBytes: bigint };
}

const INFO_ROOM = 4096;
const U32_MAX = 0xffff_ffff;

interface CheckedMapDma {
  readonly memory: CheckedMemory;
  readonly flags: number;
  readonly iova: bigint;
}

/** Made by `host.vfio.openContainer()` and `iommufd.vfioContainer()`. */
export class VfioContainer extends FdResource {
  /** VFIO_GET_API_VERSION: 0 since there is VFIO. @throws KernelError */
  async apiVersion(): Promise<number> {
    return unwrap(await this.tryApiVersion());
  }

  /** As `apiVersion`, with the kernel's refusal as a value. */
  async tryApiVersion(): Promise<Result<number>> {
    return answer(await this.#ask(VFIO_GET_API_VERSION, 0));
  }

  /**
   * VFIO_CHECK_EXTENSION: 0 for what it does not have. Some answers depend on whether the driver is set.
   *
   * @throws KernelError ENODEV from an iommufd without an IOAS, asked for cache coherence
   */
  async checkExtension(extension: ContainerExtension | number): Promise<number> {
    return unwrap(await this.tryCheckExtension(extension));
  }

  /** As `checkExtension`, with the kernel's refusal as a value. */
  async tryCheckExtension(extension: ContainerExtension | number): Promise<Result<number>> {
    return answer(await this.#ask(VFIO_CHECK_EXTENSION, extensionNumber(extension)));
  }

  /**
   * VFIO_SET_IOMMU: who manages it. Needs a group in the container.
   *
   * | errno  | meaning                                                                           |
   * |--------|-----------------------------------------------------------------------------------|
   * | EINVAL | there is no group in it yet, or the driver is set (an iommufd takes it again)      |
   * | ENODEV | there is no such driver (modprobe vfio_iommu_type1); from an iommufd: no IOAS      |
   * | EPERM  | no interrupt remapping (vfio_iommu_type1.allow_unsafe_interrupts)                  |
   *
   * @throws KernelError
   */
  async setIommu(driver: ContainerDriver): Promise<void> {
    unwrap(await this.trySetIommu(driver));
  }

  /** As `setIommu`, with the kernel's refusal as a value. */
  async trySetIommu(driver: ContainerDriver): Promise<Result<void>> {
    const number = DRIVERS[checkOneOf('driver', driver, Object.keys(DRIVERS) as ContainerDriver[])];
    return done(await this.#ask(VFIO_SET_IOMMU, number));
  }

  /** VFIO_IOMMU_GET_INFO with its capabilities. @throws KernelError */
  async info(): Promise<ContainerInfo> {
    return unwrap(await this.tryInfo());
  }

  /** As `info`, with the kernel's refusal as a value. */
  async tryInfo(): Promise<Result<ContainerInfo>> {
    const { struct } = VFIO_IOMMU_GET_INFO;
    const bytes = struct.encodeWith({}, INFO_ROOM - struct.size);
    const outcome = await this.#ask(VFIO_IOMMU_GET_INFO, bytes);
    if (!outcome.ok) return outcome;
    const { flags, iova_pgsizes: pageSizes, cap_offset } = outcome.out;
    const chain = flags & VFIO_IOMMU_INFO_CAPS ? capabilityChain(bytes, cap_offset, struct.size) : [];
    const ranges = findCapability(chain, vfioIovaRanges);
    const available = findCapability(chain, vfioDmaAvailable);
    const migration = findCapability(chain, vfioMigration);
    return success({
      pageSizes,
      ...(ranges && { iovaRanges: ranges.entries }),
      ...(available && { mappingsLeft: available.avail }),
      ...(migration && {
        dirtyTracking: { pageSizes: migration.pgsize_bitmap, maxBitmapBytes: migration.max_dirty_bitmap_size },
      }),
    });
  }

  /**
   * VFIO_IOMMU_MAP_DMA: maps memory of this process for the devices, and pins it.
   *
   * | errno     | meaning                                                                                  |
   * |-----------|------------------------------------------------------------------------------------------|
   * | EINVAL    | not page aligned, or out of the devices' reach (`info().iovaRanges`), or no driver is set  |
   * | EEXIST    | something is mapped there                                                                |
   * | EOVERFLOW | iova or address and length are more than 64 bits                                         |
   * | ENOSPC    | there are as many mappings as there may be (vfio_iommu_type1.dma_entry_limit)             |
   * | ENOMEM    | more than may be locked (RLIMIT_MEMLOCK)                                                 |
   * | EFAULT    | the memory is not there, or may not be written                                           |
   *
   * Source: vfio_dma_do_map(), drivers/vfio/vfio_iommu_type1.c; iommufd_vfio_map_dma(), drivers/iommu/iommufd/vfio_compat.c.
   *
   * @throws KernelError
   */
  async mapDma(options: MapDmaOptions): Promise<void> {
    unwrap(await this.tryMapDma(options));
  }

  /** As `mapDma`, with the kernel's refusal as a value. */
  async tryMapDma(options: MapDmaOptions): Promise<Result<void>> {
    return await this.#map(checkMapDma(options));
  }

  /** Maps several pieces, or none of them; as `ioas.mapAll()`. @throws KernelError with `completed` */
  async mapAll(pieces: readonly MapDmaOptions[]): Promise<void> {
    unwrap(await this.tryMapAll(pieces));
  }

  /** As `mapAll`, with the kernel's refusal as a value. */
  async tryMapAll(pieces: readonly MapDmaOptions[]): Promise<Result<void>> {
    const checked = checkPieces(pieces).map((piece) => checkMapDma(piece));
    const map = async (piece: CheckedMapDma): Promise<Result<MappedPiece>> => {
      const result = await this.#map(piece);
      return result.ok ? success({ iova: piece.iova, length: piece.memory.length }) : result;
    };
    const result = await mapAll(checked, map, ({ iova, length }) => this.#unmap({ iova, size: length }));
    return result.ok ? success(undefined) : result;
  }

  /**
   * VFIO_IOMMU_UNMAP_DMA. What may be asked for differs by driver: type1v2 unmaps whole mappings only (EINVAL), type1 a
   * mapping whose start is in the range, whole, an iommufd whole mappings only (ENOENT, with those before it gone).
   *
   * @returns how many bytes were mapped in the range; 0 is no error here
   * @throws KernelError
   */
  async unmapDma(range: IovaRange): Promise<bigint> {
    return unwrap(await this.tryUnmapDma(range));
  }

  /** As `unmapDma`, with the kernel's refusal as a value. */
  async tryUnmapDma(range: IovaRange): Promise<Result<bigint>> {
    const { iova, length } = checkIovaRange('range', range);
    return await this.#unmap({ iova, size: length });
  }

  /** Unmaps everything; needs the extension 'unmap-all'. @throws KernelError */
  async unmapAll(): Promise<bigint> {
    return unwrap(await this.tryUnmapAll());
  }

  /** As `unmapAll`, with the kernel's refusal as a value. */
  async tryUnmapAll(): Promise<Result<bigint>> {
    return await this.#unmap({ flags: VFIO_DMA_UNMAP_FLAG_ALL });
  }

  /**
   * VFIO_IOMMU_DIRTY_PAGES: starts or stops to note which pages are written to.
   *
   * @throws KernelError EACCES from a type1 driver that is not v2, ENOTTY from an iommufd
   */
  async setDirtyTracking(on: boolean): Promise<void> {
    unwrap(await this.trySetDirtyTracking(on));
  }

  /** As `setDirtyTracking`, with the kernel's refusal as a value. */
  async trySetDirtyTracking(on: boolean): Promise<Result<void>> {
    if (typeof on !== 'boolean') throw wrongType('on', 'a boolean', on);
    const flags = on ? VFIO_IOMMU_DIRTY_PAGES_FLAG_START : VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP;
    return done(await this.#ask(VFIO_IOMMU_DIRTY_PAGES, { flags }));
  }

  /** The pages of a mapping that were written to since tracking began; asking clears them. @throws KernelError */
  async dirtyBitmap(options: Omit<DirtyOptions, 'clear'>): Promise<DirtyBitmap> {
    return unwrap(await this.tryDirtyBitmap(options));
  }

  /** As `dirtyBitmap`, with the kernel's refusal as a value. */
  async tryDirtyBitmap(options: Omit<DirtyOptions, 'clear'>): Promise<Result<DirtyBitmap>> {
    checkOptions('options', options, ['iova', 'length', 'pageSize']);
    const { iova, length, page, pages, bytes } = checkDirty(options);
    const data = new Uint8Array(bytes);
    const bitmap = { pgsize: page, size: bytes, data };
    const args = { flags: VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP, get: { iova, size: length, bitmap } };
    const outcome = await this.#ask(vfioWithBitmap.DIRTY_PAGES, args);
    return outcome.ok ? success(new DirtyBitmap(data, pages)) : outcome;
  }

  async #map({ memory, flags, iova }: CheckedMapDma): Promise<Result<void>> {
    return await memory.place(async (vaddr) =>
      done(await this.#ask(VFIO_IOMMU_MAP_DMA, { flags, vaddr, iova, size: memory.length })),
    );
  }

  async #unmap(args: RawArg<typeof VFIO_IOMMU_UNMAP_DMA>): Promise<Result<bigint>> {
    const outcome = await this.#ask(VFIO_IOMMU_UNMAP_DMA, args);
    return outcome.ok ? success(outcome.out.size) : outcome;
  }

  async #ask<I extends Ioctl>(ioctl: I, args: RawArg<I>): Promise<IoctlOutcome<IoctlOut<I>>> {
    const { syscalls } = this.context;
    const { number } = this.handle;
    return await this.handle.use(() => issue(syscalls, number, prepareIoctl(number, ioctl, args)));
  }
}

function extensionNumber(extension: ContainerExtension | number): number {
  if (typeof extension === 'number') return checkInteger('extension', extension, 0, U32_MAX >>> 16);
  return EXTENSIONS[checkOneOf('extension', extension, Object.keys(EXTENSIONS) as ContainerExtension[])];
}

function checkMapDma(options: MapDmaOptions): CheckedMapDma {
  checkOptions('options', options, [...MEMORY, 'iova']);
  const { readable, writeable } = checkAccess(options);
  const flags = (readable ? VFIO_DMA_MAP_FLAG_READ : 0) | (writeable ? VFIO_DMA_MAP_FLAG_WRITE : 0);
  return { memory: checkMemory(options), flags, iova: checkIova('options.iova', options.iova) };
}

const done = (outcome: IoctlOutcome<unknown>): Result<void> => (outcome.ok ? success(undefined) : outcome);
const answer = (outcome: IoctlOutcome<unknown>): Result<number> => (outcome.ok ? success(outcome.ret) : outcome);
