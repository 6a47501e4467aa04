/** The IOMMU driver of CONFIG_IOMMUFD_TEST: drivers/iommu/iommufd/selftest.c, mock_ops. */

import { errno } from '../../../abi/errno.ts';
import {
  IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
  IOMMU_HWPT_ALLOC_NEST_PARENT,
  IOMMU_HWPT_ALLOC_PASID,
  IOMMU_HWPT_DATA_NONE,
} from '../../../abi/iommufd.ts';
import {
  IOMMU_HW_INFO_SELFTEST_REGVAL,
  IOMMU_HW_INFO_TYPE_SELFTEST,
  IOMMU_HWPT_DATA_SELFTEST,
  iommu_hwpt_selftest,
  iommu_test_hw_info,
  MOCK_FLAGS_DEVICE_NO_DIRTY,
  MOCK_FLAGS_DEVICE_PASID,
  MOCK_PASID_WIDTH,
} from '../../../abi/iommufd-test.ts';
import { Domain } from '../hardware/domain.ts';
import { Device, Group, type IommuDriver, type UserData } from '../hardware/driver.ts';
import { amdv1Mock, amdv1MockHuge } from '../hardware/format.ts';

const KNOWN_FLAGS = IOMMU_HWPT_ALLOC_DIRTY_TRACKING | IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID;
const CACHES = 4;

/** MOCK_IOMMUPT_DEFAULT and MOCK_IOMMUPT_HUGE */
const FORMATS = [amdv1Mock, amdv1MockHuge];

export const mockDriver: IommuDriver = {
  name: 'iommufd-test',
  enforcesCoherency: false,
  allocate: (device, flags, data) => {
    const tracks = (flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING) !== 0;
    if (flags & ~KNOWN_FLAGS || (tracks && !device.canTrackDirty)) return -errno.EOPNOTSUPP;
    const config = configuration(data);
    if (typeof config === 'number') return config;
    const format = FORMATS[config.pagetable_type];
    return format ? new Domain(format, mockDriver, tracks) : -errno.EOPNOTSUPP;
  },
  allocateNested: (flags, data) => {
    if (flags & ~IOMMU_HWPT_ALLOC_PASID || data.type !== IOMMU_HWPT_DATA_SELFTEST) return -errno.EOPNOTSUPP;
    return readSelftestData(data);
  },
  hardwareInfo: (type) => {
    if (type !== 0 && type !== IOMMU_HW_INFO_TYPE_SELFTEST) return -errno.EOPNOTSUPP;
    const bytes = iommu_test_hw_info.encode({ test_reg: IOMMU_HW_INFO_SELFTEST_REGVAL });
    return { type: IOMMU_HW_INFO_TYPE_SELFTEST, bytes };
  },
  accepts: (device, domain) => {
    if (domain.driver !== mockDriver) return -errno.EINVAL;
    return domain.canTrack && !device.canTrackDirty ? -errno.EINVAL : 0;
  },
};

function configuration(data: UserData | undefined): { iotlb: number; pagetable_type: number } | number {
  if (!data) return { iotlb: 0, pagetable_type: 0 };
  if (data.type !== IOMMU_HWPT_DATA_SELFTEST && data.type !== IOMMU_HWPT_DATA_NONE) return -errno.EOPNOTSUPP;
  return readSelftestData(data);
}

/** iommu_copy_struct_from_user() for struct iommu_hwpt_selftest. */
function readSelftestData(data: UserData): { iotlb: number; pagetable_type: number } | number {
  if (data.type !== IOMMU_HWPT_DATA_SELFTEST) return -errno.EINVAL;
  const bytes = data.read(4, iommu_hwpt_selftest.size);
  return typeof bytes === 'number' ? bytes : iommu_hwpt_selftest.decode(bytes);
}

/** A device that only exists on paper. */
export class MockDevice extends Device {
  readonly caches: number[];

  /** `flags`: MOCK_FLAGS_DEVICE_* */
  constructor(number: number, flags: number, cacheDefault: number) {
    super({
      name: `iommufd_mock${number}`,
      driver: mockDriver,
      group: new Group(number),
      canTrackDirty: !(flags & MOCK_FLAGS_DEVICE_NO_DIRTY),
      pasids: flags & MOCK_FLAGS_DEVICE_PASID ? 1 << MOCK_PASID_WIDTH : 0,
    });
    this.caches = new Array(CACHES).fill(cacheDefault);
  }
}

export const KNOWN_DEVICE_FLAGS = MOCK_FLAGS_DEVICE_NO_DIRTY | MOCK_FLAGS_DEVICE_PASID;
