/** Hardware page tables as objects: of an IOAS, or nested under another one. */

import type { Domain } from '../hardware/domain.ts';
import { removeDomain } from '../iova/attach.ts';
import type { Ioas } from './ioas.ts';
import { IommufdObject } from './objects.ts';

/** Where a page table's faults go. */
export interface FaultReports extends IommufdObject {
  report(fault: PageFault): void;
}

export interface PageFault {
  readonly deviceId: number;
  readonly flags: number;
  readonly pasid: number;
  readonly group: number;
  readonly permissions: number;
  readonly address: bigint;
  /** The page table it came through: when the device leaves it, the fault is answered. */
  readonly source: object;
}

abstract class HwptBase extends IommufdObject {
  /** IOMMU_HWPT_ALLOC_PASID: may be attached to a PASID, and beside one. */
  readonly pasidCompatible: boolean;
  #faults: FaultReports | undefined;

  constructor(pasidCompatible: boolean) {
    super();
    this.pasidCompatible = pasidCompatible;
  }

  /** Where page faults of its devices are reported. */
  get faults(): FaultReports | undefined {
    return this.#faults;
  }

  reportTo(faults: FaultReports): void {
    this.#faults = faults;
    faults.users++;
  }

  override destroy(): void {
    if (this.#faults) this.#faults.users--;
  }
}

/** One that maps what an IOAS maps. */
export class HwptPaging extends HwptBase {
  readonly ioas: Ioas;
  readonly domain: Domain;
  readonly nestParent: boolean;
  /** Made by an attach to the IOAS, and gone with the last device. */
  automatic = false;
  /** Whether it maps what the IOAS maps. */
  linked = false;

  constructor(
    ioas: Ioas,
    domain: Domain,
    options: { readonly nestParent: boolean; readonly pasidCompatible: boolean },
  ) {
    super(options.pasidCompatible);
    this.ioas = ioas;
    this.domain = domain;
    this.nestParent = options.nestParent;
    ioas.users++;
  }

  override destroy(): void {
    if (this.linked) removeDomain(this.ioas.table, this.domain);
    super.destroy();
    this.ioas.users--;
  }
}

/** A guest's own page table on top of a paging one: of the test driver, whose translations are four numbers. */
export class HwptNested extends HwptBase {
  readonly parent: HwptPaging;
  readonly viommu: IommufdObject | undefined;
  readonly iotlb: number[];

  constructor(parent: HwptPaging, viommu: IommufdObject | undefined, iotlb: number, pasidCompatible: boolean) {
    super(pasidCompatible);
    this.parent = parent;
    this.viommu = viommu;
    this.iotlb = new Array(4).fill(iotlb);
    (viommu ?? parent).users++;
  }

  override destroy(): void {
    super.destroy();
    (this.viommu ?? this.parent).users--;
  }
}

export type Hwpt = HwptPaging | HwptNested;

export const isHwpt = (object: unknown): object is Hwpt => object instanceof HwptPaging || object instanceof HwptNested;

/** The paging table under it: find_hwpt_paging(). */
export const pagingOf = (hwpt: Hwpt): HwptPaging => (hwpt instanceof HwptPaging ? hwpt : hwpt.parent);
