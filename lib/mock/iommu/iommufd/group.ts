/**
 * The devices of one group in one iommufd, and which page table each of their PASIDs uses: they cannot have different
 * ones. Source: drivers/iommu/iommufd/device.c, struct iommufd_group.
 */

import type { Device } from '../hardware/driver.ts';
import type { Hwpt } from './hwpt.ts';

export interface Attachment {
  hwpt: Hwpt;
  readonly devices: Set<{ readonly device: Device }>;
}

/** IOMMU_NO_PASID: what a device does without a PASID. */
export const NO_PASID = 0;

export class IommufdGroup {
  readonly attachments = new Map<number, Attachment>();

  /** iommufd_hwpt_pasid_compat(): page tables for PASIDs must have been made for them, and so must the one beside them. */
  suits(hwpt: Hwpt, pasid: number): boolean {
    if (hwpt.pasidCompatible) {
      const plain = this.attachments.get(NO_PASID);
      return pasid === NO_PASID || plain === undefined || plain.hwpt.pasidCompatible;
    }
    return pasid === NO_PASID && [...this.attachments.keys()].every((other) => other === NO_PASID);
  }
}
