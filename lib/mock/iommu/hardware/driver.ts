/** An IOMMU driver (struct iommu_ops) and the devices behind its IOMMU, as far as iommufd and VFIO can tell them apart. */

import type { Interval } from '../iova/interval-map.ts';
import type { Domain } from './domain.ts';

/** What user space handed over with a request, in the driver's own format. */
export interface UserData {
  readonly type: number;
  readonly length: number;
  /** copy_struct_from_user(): the first `size` bytes, zero where there are fewer; or -errno. */
  read(minimum: number, size: number): Uint8Array | number;
}

export interface HardwareInfo {
  readonly type: number;
  readonly bytes: Uint8Array;
}

export interface IommuDriver {
  readonly name: string;
  /** IOMMU_CAP_ENFORCE_CACHE_COHERENCY */
  readonly enforcesCoherency: boolean;
  /** domain_alloc_paging_flags(): a page table, or -errno. */
  allocate(device: Device, flags: number, data: UserData | undefined): Domain | number;
  /** domain_alloc_nested(): a guest's page table on top of one of the host's; or -errno. Absent: no nesting. */
  allocateNested?(flags: number, data: UserData): { readonly iotlb: number } | number;
  /** hw_info(): `type` 0 for whatever the driver has; or -errno. */
  hardwareInfo(type: number): HardwareInfo | number;
  /** Whether this page table may be attached to the device: 0 or -errno. */
  accepts(device: Device, domain: Domain): number;
}

/** Devices that the IOMMU cannot keep apart (struct iommu_group). One owner has them all, or nobody. */
export class Group {
  readonly id: number;
  readonly devices = new Set<Device>();
  #owner: object | undefined;
  #claims = 0;

  constructor(id: number) {
    this.id = id;
  }

  get isOwned(): boolean {
    return this.#owner !== undefined;
  }

  /** iommu_device_claim_dma_owner(): whether the owner now has it. Claims of one owner add up. */
  claim(owner: object): boolean {
    if (this.#owner !== undefined && this.#owner !== owner) return false;
    this.#owner = owner;
    this.#claims++;
    return true;
  }

  release(): void {
    if (--this.#claims === 0) this.#owner = undefined;
  }
}

export interface DeviceOptions {
  readonly name: string;
  readonly driver: IommuDriver;
  readonly group: Group;
  /** What the platform keeps from it: the window of message-signalled interrupts. */
  readonly reserved?: readonly Interval[];
  readonly canTrackDirty?: boolean;
  /** Number of PASIDs; 0 where it has none. */
  readonly pasids?: number;
}

/** A device behind an IOMMU. */
export class Device {
  readonly name: string;
  readonly driver: IommuDriver;
  readonly group: Group;
  readonly reserved: readonly Interval[];
  readonly canTrackDirty: boolean;
  readonly pasids: number;

  constructor(options: DeviceOptions) {
    this.name = options.name;
    this.driver = options.driver;
    this.group = options.group;
    this.reserved = options.reserved ?? [];
    this.canTrackDirty = options.canTrackDirty ?? false;
    this.pasids = options.pasids ?? 0;
    this.group.devices.add(this);
  }
}
