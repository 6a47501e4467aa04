/** Intel's VT-d as QEMU 7.2 has it, without scalable mode: no nesting, no dirty tracking, no PASIDs. */

import { errno } from '../../../abi/errno.ts';
import {
  IOMMU_HW_INFO_TYPE_INTEL_VTD,
  IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
  IOMMU_HWPT_ALLOC_NEST_PARENT,
  IOMMU_HWPT_ALLOC_PASID,
} from '../../../abi/iommufd.ts';
import { struct, u32, u64 } from '../../../abi/struct.ts';
import { Domain } from './domain.ts';
import type { IommuDriver } from './driver.ts';
import { vtdSecondStage } from './format.ts';

/** Where the platform takes writes for interrupts. */
export const interruptWindow = { start: 0xfee0_0000n, last: 0xfeef_ffffn } as const;

const iommu_hw_info_vtd = struct('iommu_hw_info_vtd', { flags: u32, __reserved: u32, cap_reg: u64, ecap_reg: u64 });

/** IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17, which the driver always claims. */
const ERRATA_772415_SPR17 = 1;
/** The registers of intel-iommu with intremap=on and aw-bits=48. */
const REGISTERS = { cap_reg: 0x00d2_008c_222f_0606n, ecap_reg: 0xf0_0f4an };

const KNOWN_FLAGS = IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING | IOMMU_HWPT_ALLOC_PASID;

export const vtd: IommuDriver = {
  name: 'intel-iommu',
  enforcesCoherency: false,
  allocate: (_device, flags, data) => {
    if (data || flags & ~KNOWN_FLAGS) return -errno.EOPNOTSUPP;
    if (flags & (IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING)) return -errno.EOPNOTSUPP;
    return new Domain(vtdSecondStage, vtd, false);
  },
  // Only ever asked for what is on top of a nesting parent, which there is none of.
  allocateNested: () => -errno.EOPNOTSUPP,
  hardwareInfo: (type) => {
    if (type !== 0 && type !== IOMMU_HW_INFO_TYPE_INTEL_VTD) return -errno.EOPNOTSUPP;
    const bytes = iommu_hw_info_vtd.encode({ flags: ERRATA_772415_SPR17, ...REGISTERS });
    return { type: IOMMU_HW_INFO_TYPE_INTEL_VTD, bytes };
  },
  accepts: (_device, domain) => (domain.driver === vtd ? 0 : -errno.EINVAL),
};
