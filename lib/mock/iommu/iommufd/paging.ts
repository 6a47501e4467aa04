/** A page table for an IOAS, in the two steps that an attach comes between: drivers/iommu/iommufd/hw_pagetable.c. */

import { errno } from '../../../abi/errno.ts';
import {
  IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
  IOMMU_HWPT_ALLOC_NEST_PARENT,
  IOMMU_HWPT_ALLOC_PASID,
  IOMMU_HWPT_FAULT_ID_VALID,
} from '../../../abi/iommufd.ts';
import type { Device, UserData } from '../hardware/driver.ts';
import { addDomain } from '../iova/attach.ts';
import { HwptPaging } from './hwpt.ts';
import type { Ioas } from './ioas.ts';
import type { ObjectTable } from './objects.ts';

const PAGING_FLAGS =
  IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING | IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID;

/** The first half of iommufd_hwpt_paging_alloc(): a page table with an id, which maps nothing yet. */
export function allocatePaging(
  { objects, device }: { readonly objects: ObjectTable; readonly device: Device },
  ioas: Ioas,
  flags: number,
  data: UserData | undefined,
): HwptPaging | number {
  if (flags & ~PAGING_FLAGS) return -errno.EOPNOTSUPP;
  if (flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING && !device.canTrackDirty) return -errno.EOPNOTSUPP;
  if (flags & IOMMU_HWPT_FAULT_ID_VALID && flags & IOMMU_HWPT_ALLOC_NEST_PARENT) return -errno.EOPNOTSUPP;
  const domain = device.driver.allocate(device, flags & ~IOMMU_HWPT_FAULT_ID_VALID, data);
  if (typeof domain === 'number') return domain;
  const hwpt = new HwptPaging(ioas, domain, {
    nestParent: (flags & IOMMU_HWPT_ALLOC_NEST_PARENT) !== 0,
    pasidCompatible: (flags & IOMMU_HWPT_ALLOC_PASID) !== 0,
  });
  objects.reserve(hwpt);
  return hwpt;
}

/** The second half: it maps what its IOAS maps. */
export function linkPaging(hwpt: HwptPaging): number {
  const error = addDomain(hwpt.ioas.table, hwpt.domain);
  hwpt.linked = error === 0;
  return error;
}
