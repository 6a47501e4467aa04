/** iommufd, VFIO, and the devices that could be handed to a test. */

import type { Features } from '../../host/index.ts';
import { deviceFile, type Finding, info, missing, ok, type Probe } from './finding.ts';

const GROUPS = '/sys/kernel/iommu_groups';
const VFIO_PCI = '/sys/bus/pci/drivers/vfio-pci';
/** A PCI address among what a driver's folder holds. */
const ADDRESS = /^[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/;

export const iommufd: Probe = (system) => [deviceFile(system, '/dev/iommu', 'needs CONFIG_IOMMUFD: modprobe iommufd')];

export const groups: Probe = ({ list }) => {
  const found = list(GROUPS).length;
  if (found > 0) return [ok('IOMMU groups', String(found))];
  const fix =
    'enable the IOMMU in the firmware (VT-d, AMD-Vi) and on the kernel command line (intel_iommu=on); none at hand: scripts/lab has an emulated one';
  return [missing('IOMMU groups', 'none', fix)];
};

export const vfio: Probe = (system) => {
  const { list } = system;
  const cdevs = list('/dev/vfio/devices');
  const lent = list(VFIO_PCI).filter((name) => ADDRESS.test(name));
  return [
    deviceFile(system, '/dev/vfio/vfio', 'needs CONFIG_VFIO: modprobe vfio-pci'),
    list(VFIO_PCI).length > 0
      ? ok('vfio-pci', 'loaded')
      : missing('vfio-pci', 'not loaded', 'needs CONFIG_VFIO_PCI: modprobe vfio-pci'),
    lent.length > 0
      ? ok('VFIO devices', `${lent.join(', ')}${cdevs.length > 0 ? ` (${cdevs.join(', ')})` : ''}`)
      : missing(
          'VFIO devices',
          'none',
          'bind one that nothing needs to vfio-pci: driverctl set-override 0000:BB:DD.F vfio-pci, or in a script host.vfio.bind()',
        ),
    cdevs.length > 0 || lent.length === 0
      ? info('VFIO cdevs', cdevs.join(', ') || 'none: they come with a device')
      : missing(
          'VFIO cdevs',
          'none',
          'needs CONFIG_VFIO_DEVICE_CDEV=y; without, devices are opened through their groups',
        ),
  ];
};

/** Only an ioctl tells. */
export function testDriver({ iommufd: core, iommufdTest }: Features): Finding {
  if (iommufdTest.available) return ok('iommufd test driver', iommufdTest.why);
  if (!core.available) return info('iommufd test driver', core.why);
  return missing(
    'iommufd test driver',
    iommufdTest.why,
    'needs CONFIG_IOMMUFD_TEST=y, which is for test kernels only: scripts/lab builds one',
  );
}
