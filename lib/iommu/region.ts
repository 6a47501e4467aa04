/** A part of a device's address space: a BAR, its ROM, its configuration. */

import { errno } from '../abi/errno.ts';
import { checkBigint, checkBytes, checkInteger, checkOneOf, checkOptions, outOfRange } from '../abi/invalid.ts';
import { MAP_SHARED, PAGE_SIZE, PROT_READ, PROT_WRITE } from '../abi/linux.ts';
import {
  capabilityChain,
  findCapability,
  VFIO_REGION_INFO_CAP_MSIX_MAPPABLE,
  vfioSparseMmap,
} from '../abi/vfio-capabilities.ts';
import {
  VFIO_DEVICE_GET_REGION_INFO,
  VFIO_PCI_BAR0_REGION_INDEX,
  VFIO_PCI_CONFIG_REGION_INDEX,
  VFIO_PCI_ROM_REGION_INDEX,
  VFIO_PCI_VGA_REGION_INDEX,
  VFIO_REGION_INFO_FLAG_CAPS,
  VFIO_REGION_INFO_FLAG_MMAP,
  VFIO_REGION_INFO_FLAG_READ,
  VFIO_REGION_INFO_FLAG_WRITE,
} from '../abi/vfio-device.ts';
import { Mapping } from '../guest-memfd/index.ts';
import {
  type Context,
  checkPages,
  failed,
  failure,
  issue,
  KernelError,
  type OwnedFd,
  prepareIoctl,
  type Result,
  success,
  unwrap,
} from '../host/index.ts';

const BARS = ['bar0', 'bar1', 'bar2', 'bar3', 'bar4', 'bar5'] as const;
const NAMES = [...BARS, 'rom', 'config', 'vga'] as const;
export type RegionName = (typeof NAMES)[number];

const INDEXES: Readonly<Record<RegionName, number>> = {
  ...(Object.fromEntries(BARS.map((bar, i) => [bar, VFIO_PCI_BAR0_REGION_INDEX + i])) as Record<
    (typeof BARS)[number],
    number
  >),
  rom: VFIO_PCI_ROM_REGION_INDEX,
  config: VFIO_PCI_CONFIG_REGION_INDEX,
  vga: VFIO_PCI_VGA_REGION_INDEX,
};

export function regionIndex(region: RegionName | number): number {
  if (typeof region === 'number') return checkInteger('region', region, 0, 0xffff_ffff);
  return INDEXES[checkOneOf('region', region, NAMES)];
}

/** Bytes of one access. */
export type Width = 1 | 2 | 4 | 8;
const WIDTHS: readonly number[] = [1, 2, 4, 8];

export interface MapRegionOptions {
  /** Bytes from the start of the region; whole pages. Default: 0. */
  readonly offset?: number | bigint;
  /** Bytes. Default: what is left of the region. */
  readonly size?: number | bigint;
  /** PROT_READ, PROT_WRITE or both, which is the default. */
  readonly prot?: number;
}

interface RegionFacts {
  readonly index: number;
  /** Bytes; 0 where the device has no such region. */
  readonly size: bigint;
  readonly readable: boolean;
  readonly writeable: boolean;
  readonly mappable: boolean;
  /** The parts that can be mapped, where that is not all of it. */
  readonly mappableAreas?: readonly { readonly offset: bigint; readonly size: bigint }[];
  /** The MSI-X table lies in it, and all of it can be mapped. */
  readonly msixMappable: boolean;
}

const INFO_ROOM = 1024;
const NOT_MAPPABLE = 'this region cannot be mapped, or not this part of it (region.mappable, region.mappableAreas)';

/** Asks for a region and its capabilities. */
export async function tryRegion(context: Context, device: OwnedFd, index: number): Promise<Result<VfioRegion>> {
  const { struct } = VFIO_DEVICE_GET_REGION_INFO;
  const bytes = struct.encodeWith({ index }, INFO_ROOM - struct.size);
  const { number } = device;
  const outcome = await device.use(() =>
    issue(context.syscalls, number, prepareIoctl(number, VFIO_DEVICE_GET_REGION_INFO, bytes)),
  );
  if (!outcome.ok) return outcome;
  const { flags, cap_offset, size, offset } = outcome.out;
  const chain = flags & VFIO_REGION_INFO_FLAG_CAPS ? capabilityChain(bytes, cap_offset, struct.size) : [];
  const sparse = findCapability(chain, vfioSparseMmap);
  const facts = {
    index,
    size,
    readable: (flags & VFIO_REGION_INFO_FLAG_READ) !== 0,
    writeable: (flags & VFIO_REGION_INFO_FLAG_WRITE) !== 0,
    mappable: (flags & VFIO_REGION_INFO_FLAG_MMAP) !== 0,
    ...(sparse && { mappableAreas: sparse.entries }),
    msixMappable: chain.some(({ id }) => id === VFIO_REGION_INFO_CAP_MSIX_MAPPABLE),
  };
  return success(new VfioRegion(context, device, facts, offset));
}

/** Made by `device.region()`. It is usable as long as the device is open. */
export class VfioRegion {
  readonly index: number;
  /** Bytes; 0 where the device has no such region. */
  readonly size: bigint;
  readonly readable: boolean;
  readonly writeable: boolean;
  readonly mappable: boolean;
  declare readonly mappableAreas?: RegionFacts['mappableAreas'];
  readonly msixMappable: boolean;
  readonly #context: Context;
  readonly #device: OwnedFd;
  /** Where it lies in the device's file. */
  readonly #offset: bigint;

  constructor(context: Context, device: OwnedFd, facts: RegionFacts, offset: bigint) {
    this.#context = context;
    this.#device = device;
    this.#offset = offset;
    this.index = facts.index;
    this.size = facts.size;
    this.readable = facts.readable;
    this.writeable = facts.writeable;
    this.mappable = facts.mappable;
    this.msixMappable = facts.msixMappable;
    if (facts.mappableAreas)
      Object.defineProperty(this, 'mappableAreas', { value: facts.mappableAreas, enumerable: true });
  }

  /**
   * Reads a register with one access of this width (where the kernel can: 8 bytes are two accesses before Linux 6.11).
   *
   * @param offset Bytes from the start of the region; a multiple of the width.
   * @throws KernelError EINVAL when the region cannot be read, EIO when the device does not answer
   * @throws RangeError for an offset that is not aligned, or outside the region
   */
  async read(offset: number | bigint, width: Width): Promise<bigint> {
    return unwrap(await this.tryRead(offset, width));
  }

  /** As `read`, with the kernel's refusal as a value. */
  async tryRead(offset: number | bigint, width: Width): Promise<Result<bigint>> {
    const at = this.#checkAccess(offset, width);
    const bytes = new Uint8Array(8);
    const result = await this.#transfer('pread', at, bytes.subarray(0, width));
    return result.ok ? success(new DataView(bytes.buffer).getBigUint64(0, true)) : result;
  }

  /**
   * Writes a register; as `read`.
   *
   * @throws RangeError also for a value that the width cannot hold
   */
  async write(offset: number | bigint, width: Width, value: number | bigint): Promise<void> {
    unwrap(await this.tryWrite(offset, width, value));
  }

  /** As `write`, with the kernel's refusal as a value. */
  async tryWrite(offset: number | bigint, width: Width, value: number | bigint): Promise<Result<void>> {
    const at = this.#checkAccess(offset, width);
    const bytes = new Uint8Array(8);
    const big = checkBigint('value', value, 0n, (1n << BigInt(8 * width)) - 1n);
    new DataView(bytes.buffer).setBigUint64(0, big, true);
    return await this.#transfer('pwrite', at, bytes.subarray(0, width));
  }

  /** Reads many bytes, in accesses of whatever width the kernel likes: for memory, not for registers. */
  async readBytes(offset: number | bigint, length: number): Promise<Uint8Array> {
    return unwrap(await this.tryReadBytes(offset, length));
  }

  /** As `readBytes`, with the kernel's refusal as a value. */
  async tryReadBytes(offset: number | bigint, length: number): Promise<Result<Uint8Array>> {
    const bytes = new Uint8Array(checkInteger('length', length, 1, 2 ** 30));
    const result = await this.#transfer('pread', this.#checkSpan(offset, length), bytes);
    return result.ok ? success(bytes) : result;
  }

  /** Writes many bytes; as `readBytes`. */
  async writeBytes(offset: number | bigint, bytes: Uint8Array): Promise<void> {
    unwrap(await this.tryWriteBytes(offset, bytes));
  }

  /** As `writeBytes`, with the kernel's refusal as a value. */
  async tryWriteBytes(offset: number | bigint, bytes: Uint8Array): Promise<Result<void>> {
    const { byteLength } = checkBytes('bytes', bytes);
    checkInteger('the length of bytes', byteLength, 1, 2 ** 30);
    return await this.#transfer('pwrite', this.#checkSpan(offset, byteLength), bytes);
  }

  /**
   * Maps it into this process: for memory. Copies are in accesses of whatever width the machine likes.
   *
   * | errno  | meaning                                                      |
   * |--------|--------------------------------------------------------------|
   * | EINVAL | it cannot be mapped, or not this part (`mappableAreas`)       |
   *
   * While the device sleeps or its memory is disabled, a mapped page cannot be touched; that is an EFAULT here.
   *
   * @throws KernelError, and RangeError for a range outside the region
   */
  async map(options: MapRegionOptions = {}): Promise<Mapping> {
    return unwrap(await this.tryMap(options));
  }

  /** As `map`, with the kernel's refusal as a value. */
  async tryMap(options: MapRegionOptions = {}): Promise<Result<Mapping>> {
    const { offset, size, prot } = this.#checkMap(options);
    return await this.#device.use(() =>
      this.#context.handle.use(async () => {
        const fd = this.#device.number;
        const fileOffset = this.#offset + offset;
        const address = await this.#context.syscalls.mmap(size, prot, MAP_SHARED, fd, fileOffset);
        const args = { length: size, prot, offset: fileOffset };
        if (address < 0n) return failure({ syscall: 'mmap', fd, args, hint: NOT_MAPPABLE }, Number(address));
        const title = `Mapping of region ${this.index} of ${this.#device.title}`;
        const end = this.#offset + this.size;
        return success(new Mapping(this.#context, title, { address, size, fileOffset, fileSize: end }));
      }),
    );
  }

  #checkMap(options: MapRegionOptions) {
    checkOptions('options', options, ['offset', 'size', 'prot']);
    // Destructuring, unlike ??, gives no default for null.
    const { offset: from = 0, prot: wanted = PROT_READ | PROT_WRITE } = options;
    const offset = checkPages('options.offset', from, 0n, this.size);
    const { size: bytes = this.size - offset } = options;
    const size = checkBigint('options.size', bytes, 1n, this.size);
    if (offset + size > this.size) {
      throw outOfRange('options.offset and options.size', `within the ${this.size} bytes of the region`, options);
    }
    const prot = checkInteger('options.prot', wanted, 0, PROT_READ | PROT_WRITE);
    // The last page of a small BAR is mapped whole.
    return { offset, size: Math.ceil(Number(size) / PAGE_SIZE) * PAGE_SIZE, prot };
  }

  #checkAccess(offset: number | bigint, width: Width): bigint {
    if (!WIDTHS.includes(checkInteger('width', width, 1, 8))) throw outOfRange('width', '1, 2, 4 or 8', width);
    const at = this.#checkSpan(offset, width);
    if (at % BigInt(width) !== 0n) throw outOfRange('offset', `a multiple of ${width}`, offset);
    return at;
  }

  #checkSpan(offset: number | bigint, length: number): bigint {
    const at = checkBigint('offset', offset, 0n, this.size);
    if (at + BigInt(length) > this.size) {
      throw outOfRange('offset', `at least ${length} bytes before the end of the region (${this.size} bytes)`, offset);
    }
    return at;
  }

  async #transfer(syscall: 'pread' | 'pwrite', at: bigint, bytes: Uint8Array): Promise<Result<void>> {
    const { byteLength } = bytes;
    return await this.#device.use(async () => {
      const fd = this.#device.number;
      const moved = await this.#context.syscalls[syscall](fd, bytes, this.#offset + at);
      if (moved === byteLength) return success(undefined);
      const args = { region: this.index, offset: at, length: byteLength };
      const short = { syscall, fd, args, completed: Math.max(moved, 0) };
      return failed(new KernelError(short, moved < 0 ? moved : -errno.EIO));
    });
  }
}
