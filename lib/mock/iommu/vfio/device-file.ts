/** A VFIO device's file: a group's, or its own node, which answers nothing but BIND until that has succeeded. */

import { errno } from '../../../abi/errno.ts';
import { MAP_SHARED, PAGE_SIZE, S_IFCHR } from '../../../abi/linux.ts';
import type { Stat } from '../../../syscalls/seam.ts';
import { Folio } from '../../memory.ts';
import { type FileMapping, MockFile, type UserMemory } from '../../process/index.ts';
import type { IommuHost } from '../host.ts';
import { COMMAND } from '../pci/config-space.ts';
import { EDU_BAR_BYTES } from '../pci/edu.ts';
import { bindIommufd, cdevDispatcher, VFIO_DEVICE_BIND_IOMMUFD } from './cdev-ioctls.ts';
import { deviceDispatcher, REGIONS } from './device-ioctls.ts';
import type { VfioDevice } from './vfio-device.ts';

const REGION_SHIFT = 40n;
const CONFIG_REGION = 7;

export class VfioDeviceFile extends MockFile {
  readonly host: IommuHost;
  readonly device: VfioDevice;
  /** Through the group; else through its own node. */
  readonly throughGroup: boolean;
  /** BIND has succeeded, or there was no need of it. */
  granted: boolean;
  readonly #onRelease: () => void;

  constructor(
    host: IommuHost,
    device: VfioDevice,
    { throughGroup, onRelease = () => {} }: { readonly throughGroup: boolean; readonly onRelease?: () => void },
  ) {
    super();
    this.host = host;
    this.device = device;
    this.throughGroup = throughGroup;
    this.granted = throughGroup;
    this.#onRelease = onRelease;
  }

  override ioctl(request: number, user: UserMemory): number {
    if (request === VFIO_DEVICE_BIND_IOMMUFD.request) return bindIommufd(this, user);
    if (!this.granted) return -errno.EINVAL;
    if (!this.throughGroup && cdevDispatcher.has(request)) return cdevDispatcher.run(this, request, user, 0);
    return deviceDispatcher.run(this, request, user, -errno.ENOTTY);
  }

  override get isVfio(): boolean {
    return true;
  }

  override get hasPositions(): boolean {
    return true;
  }

  override read(bytes: Uint8Array, offset = 0n): number {
    return this.#access(bytes, offset, false);
  }

  override write(bytes: Uint8Array, offset = 0n): number {
    return this.#access(bytes, offset, true);
  }

  #access(bytes: Uint8Array, offset: bigint, write: boolean): number {
    if (!this.granted) return -errno.EINVAL;
    if (bytes.length === 0) return 0;
    const index = Number(offset >> REGION_SHIFT);
    const at = Number(BigInt.asUintN(Number(REGION_SHIFT), offset));
    if (index === 0) return this.device.pci.access(at, bytes, write);
    if (index !== CONFIG_REGION) return -errno.EINVAL;
    return write ? this.#writeConfig(at, bytes) : this.device.pci.config.read(at, bytes);
  }

  /** Whoever switches the region off loses its mappings. */
  #writeConfig(at: number, bytes: Uint8Array): number {
    const { pci, mappings } = this.device;
    const result = pci.config.write(at, bytes);
    if (at <= COMMAND + 1 && at + bytes.length > COMMAND && !pci.isMemoryEnabled) {
      for (const mapping of mappings) mapping.unmapFilePages({ start: 0, end: EDU_BAR_BYTES / PAGE_SIZE });
    }
    return result;
  }

  /** A region of which a whole part is asked for. */
  override mmap(
    mapping: FileMapping & { readonly options?: { filePage: number; pages: number; flags: number } },
  ): number {
    if (!this.granted) return -errno.EINVAL;
    const { filePage = 0, pages = 0, flags = 0 } = mapping.options ?? {};
    const fits = filePage + pages <= EDU_BAR_BYTES / PAGE_SIZE;
    if (!(flags & MAP_SHARED) || !fits || REGIONS[0]!.size === 0) return -errno.EINVAL;
    this.device.mappings.add(mapping);
    return 0;
  }

  override munmap(mapping: FileMapping): void {
    this.device.mappings.delete(mapping);
  }

  /** A copy touches it byte by byte, and the device has no registers of that size. */
  override fault(): Folio | number {
    return this.device.pci.isMemoryEnabled ? new DeafRegisters() : -errno.EFAULT;
  }

  stat(): Stat {
    return { ino: 5n, mode: S_IFCHR | 0o600, nlink: 1, size: 0n, blksize: PAGE_SIZE, blocks: 0n };
  }

  protected override release(): void {
    if (this.granted) this.device.close();
    if (this.granted && !this.throughGroup) {
      this.device.cdevOpened = false;
      this.device.group.cdevOpens--;
    }
    this.#onRelease();
  }
}

/** Registers that only answer to wider accesses: what is written is lost, and 0 is read. */
class DeafRegisters extends Folio {
  override get bytes(): Uint8Array {
    return new Uint8Array(PAGE_SIZE);
  }

  override copyTo(target: Uint8Array): void {
    target.fill(0);
  }
}
