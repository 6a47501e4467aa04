/** Asks what there is of iommufd and VFIO: opens their files, and closes them again. */

import { errno, errnoName } from '../abi/errno.ts';
import { IOMMU_IOAS_ALLOC } from '../abi/iommufd.ts';
import { IOMMU_TEST_CMD } from '../abi/iommufd-test.ts';
import { O_CLOEXEC, O_RDWR } from '../abi/linux.ts';
import { VFIO_GET_API_VERSION } from '../abi/vfio.ts';
import type { Syscalls } from '../syscalls/seam.ts';
import type { Availability, IommuFeatures } from './features.ts';

const IOMMUFD = '/dev/iommu';
const CONTAINER = '/dev/vfio/vfio';
const VFIO_PCI = '/sys/bus/pci/drivers/vfio-pci';
const GROUPS = '/sys/kernel/iommu_groups';

export async function probeIommu(syscalls: Syscalls): Promise<IommuFeatures> {
  return {
    ...(await probeIommufd(syscalls)),
    vfioContainer: await probeContainer(syscalls),
    ...(await probeBus(syscalls)),
  };
}

async function probeIommufd(syscalls: Syscalls): Promise<Pick<IommuFeatures, 'iommufd' | 'iommufdTest'>> {
  const fd = await syscalls.open(IOMMUFD, O_RDWR | O_CLOEXEC);
  if (fd < 0) {
    const iommufd = no(`${IOMMUFD} does not open: ${name(fd)}`);
    return { iommufd, iommufdTest: iommufd };
  }
  try {
    return {
      iommufd: known(
        await syscalls.ioctl(fd, IOMMU_IOAS_ALLOC.request, sizeless(IOMMU_IOAS_ALLOC)),
        'IOMMU_IOAS_ALLOC',
      ),
      iommufdTest: known(await syscalls.ioctl(fd, IOMMU_TEST_CMD.request, sizeless(IOMMU_TEST_CMD)), 'IOMMU_TEST_CMD'),
    };
  } finally {
    await syscalls.close(fd);
  }
}

/** A struct that says it has no bytes, which a kernel that knows the request calls invalid. */
const sizeless = ({ struct }: { readonly struct: { encode(values: { size: number }): Uint8Array } }): Uint8Array =>
  struct.encode({ size: 0 });

const known = (ret: number, request: string): Availability =>
  ret === -errno.EINVAL ? yes(`${request} is known`) : no(`${request} answers ${name(ret)}`);

async function probeContainer(syscalls: Syscalls): Promise<Availability> {
  const fd = await syscalls.open(CONTAINER, O_RDWR | O_CLOEXEC);
  if (fd < 0) return no(`${CONTAINER} does not open: ${name(fd)}`);
  try {
    const version = await syscalls.ioctl(fd, VFIO_GET_API_VERSION.request, 0);
    return version === 0 ? yes(`${CONTAINER} opens`) : no(`VFIO_GET_API_VERSION answers ${name(version)}`);
  } finally {
    await syscalls.close(fd);
  }
}

async function probeBus(syscalls: Syscalls): Promise<Pick<IommuFeatures, 'vfioPci' | 'iommuGroups'>> {
  const driver = await syscalls.readDirectory(VFIO_PCI);
  const groups = await syscalls.readDirectory(GROUPS);
  return {
    vfioPci: typeof driver === 'number' ? no(`no driver vfio-pci: ${name(driver)}`) : yes('the driver is loaded'),
    iommuGroups: typeof groups === 'number' ? 0 : groups.length,
  };
}

const yes = (why: string): Availability => ({ available: true, why });
const no = (why: string): Availability => ({ available: false, why });
const name = (ret: number): string => (ret < 0 ? (errnoName(ret) ?? String(ret)) : String(ret));
