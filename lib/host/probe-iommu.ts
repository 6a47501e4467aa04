/** Asks what there is of iommufd and VFIO: opens their files, and closes them again. */

import { errno, errnoName } from '../abi/errno.ts';
import { IOMMU_IOAS_ALLOC } from '../abi/iommufd.ts';
import { IOMMU_TEST_CMD } from '../abi/iommufd-test.ts';
import { KVM_CREATE_DEVICE, KVM_CREATE_DEVICE_TEST, KVM_DEV_TYPE_VFIO } from '../abi/kvm-device.ts';
import { O_CLOEXEC, O_RDONLY, O_RDWR } from '../abi/linux.ts';
import { VFIO_GET_API_VERSION } from '../abi/vfio.ts';
import type { Syscalls } from '../syscalls/seam.ts';
import type { Availability, IommuFeatures } from './features.ts';

const IOMMUFD = '/dev/iommu';
const CONTAINER = '/dev/vfio/vfio';
const VFIO_PCI = '/sys/bus/pci/drivers/vfio-pci';
const GROUPS = '/sys/kernel/iommu_groups';
const DEVICES = '/sys/bus/pci/devices';
/** A PCI address among what a driver's folder holds. */
const ADDRESS = /^[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/;

export async function probeIommu(syscalls: Syscalls): Promise<Omit<IommuFeatures, 'kvmVfio'>> {
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

async function probeBus(syscalls: Syscalls): Promise<Pick<IommuFeatures, 'vfioPci' | 'vfioDevices' | 'iommuGroups'>> {
  const driver = await syscalls.readDirectory(VFIO_PCI);
  const groups = await syscalls.readDirectory(GROUPS);
  return {
    vfioPci: typeof driver === 'number' ? no(`no driver vfio-pci: ${name(driver)}`) : yes('the driver is loaded'),
    vfioDevices:
      typeof driver === 'number'
        ? []
        : await describe(
            syscalls,
            driver.filter((name) => ADDRESS.test(name)),
          ),
    iommuGroups: typeof groups === 'number' ? 0 : groups.length,
  };
}

async function describe(syscalls: Syscalls, addresses: readonly string[]): Promise<IommuFeatures['vfioDevices']> {
  const found: IommuFeatures['vfioDevices'][number][] = [];
  for (const address of [...addresses].sort()) {
    const number = (file: string) => readNumber(syscalls, `${DEVICES}/${address}/${file}`);
    found.push({ address, vendor: await number('vendor'), device: await number('device') });
  }
  return found;
}

async function readNumber(syscalls: Syscalls, path: string): Promise<number> {
  const fd = await syscalls.open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  const bytes = new Uint8Array(32);
  const length = await syscalls.read(fd, bytes);
  await syscalls.close(fd);
  return length > 0 ? Number.parseInt(Buffer.from(bytes.subarray(0, length)).toString(), 16) : 0;
}

/** Whether a VM could have KVM's VFIO device: a question, which makes none. */
export async function probeKvmVfio(syscalls: Syscalls, vm: number): Promise<Availability> {
  const args = { type: KVM_DEV_TYPE_VFIO, flags: KVM_CREATE_DEVICE_TEST };
  const ret = await syscalls.ioctl(vm, KVM_CREATE_DEVICE.request, KVM_CREATE_DEVICE.struct.encode(args));
  return ret === 0 ? yes('KVM_CREATE_DEVICE knows it') : no(`KVM_CREATE_DEVICE answers ${name(ret)}`);
}

const yes = (why: string): Availability => ({ available: true, why });
const no = (why: string): Availability => ({ available: false, why });
const name = (ret: number): string => (ret < 0 ? (errnoName(ret) ?? String(ret)) : String(ret));
