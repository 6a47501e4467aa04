/** A device by its own file: bound to an iommufd, attached, detached, and asked. */

import fc from 'fast-check';
import * as abi from '../../../../lib/abi/vfio-device.ts';
import { mostly, which } from '../../choices.ts';
import { command } from '../../command.ts';
import { idChoice, pickId } from '../choices.ts';
import { ioctlCall } from '../issue.ts';
import { addObject } from '../world.ts';
import { opening } from './files.ts';

const CDEV_PATH = '/dev/vfio/devices/vfio0';
const argsz = (usual: number, least: number): fc.Arbitrary<number> => mostly([usual], [0, least - 1, least], 20);

const openCdev = command({
  name: 'open-cdev',
  weight: 2,
  choices: fc.constant(0),
  expects: () => ['ok'],
  prepare: (world) => {
    if (world.iommu.count('vfio-device') >= 2) return undefined;
    return opening(world, CDEV_PATH, { kind: 'vfio-device', name: world.name('device'), of: undefined }, 2);
  },
});

const bind = command({
  name: 'device-bind',
  weight: 3,
  choices: fc.record({
    which,
    on: which,
    other: fc.nat(15),
    flags: mostly([0], [2], 20),
    argsz: argsz(24, 16),
  }),
  expects: () => ['ok', 'EINVAL', 'EBADF'],
  prepare(world, { which: nth, on: nthOn, other, flags, argsz: size }) {
    const on = world.iommu.fd(nth, 'vfio-device');
    const to = other === 15 ? undefined : world.iommu.fd(nthOn, 'iommufd');
    if (!on || (!to && other !== 15)) return undefined;
    return ioctlCall({
      text: `VFIO_DEVICE_BIND_IOMMUFD(${to?.name ?? 'no such fd'}, flags ${flags}, argsz ${size})`,
      on,
      ioctl: abi.VFIO_DEVICE_BIND_IOMMUFD,
      values: (side) => ({ argsz: size, flags, iommufd: side.fd(to) }),
      agreed: (ret, { out_devid }) => {
        if (ret !== 0 || !to) return;
        on.of.of = to.of;
        addObject(to.of, 'device', out_devid);
      },
    });
  },
});

const attach = command({
  name: 'device-attach',
  weight: 4,
  choices: fc.record({ which, id: idChoice, flags: mostly([0], [1, 2], 20), argsz: argsz(16, 12) }),
  expects: () => ['ok', 'EINVAL', 'ENOENT'],
  prepare(world, { which: nth, id, flags, argsz: size }) {
    const on = world.iommu.fd(nth, 'vfio-device');
    const bound = on?.of.of ?? world.iommu.fd(nth, 'iommufd')?.of;
    const pt_id = bound && pickId(bound, id, 'ioas', 'ioas', 'hwpt');
    if (!on || !bound || pt_id === undefined) return undefined;
    return ioctlCall({
      text: `VFIO_DEVICE_ATTACH_IOMMUFD_PT(${pt_id}, flags ${flags}, argsz ${size})`,
      on,
      ioctl: abi.VFIO_DEVICE_ATTACH_IOMMUFD_PT,
      values: { argsz: size, flags, pt_id },
      agreed: (ret, out) => {
        if (ret === 0 && !bound.objects.has(out.pt_id)) addObject(bound, 'hwpt', out.pt_id);
      },
    });
  },
});

const detach = command({
  name: 'device-detach',
  weight: 2,
  choices: fc.record({ which, flags: mostly([0], [1, 2], 10), argsz: argsz(12, 8) }),
  expects: () => ['ok', 'EINVAL'],
  prepare(world, { which: nth, flags, argsz: size }) {
    const on = world.iommu.fd(nth, 'vfio-device');
    if (!on) return undefined;
    return ioctlCall({
      text: `VFIO_DEVICE_DETACH_IOMMUFD_PT(flags ${flags}, argsz ${size})`,
      on,
      ioctl: abi.VFIO_DEVICE_DETACH_IOMMUFD_PT,
      values: { argsz: size, flags },
    });
  },
});

const info = command({
  name: 'device-info',
  weight: 1,
  choices: fc.record({ which, argsz: argsz(24, 16) }),
  expects: () => ['ok', 'EINVAL'],
  prepare(world, { which: nth, argsz: size }) {
    const on = world.iommu.fd(nth, 'vfio-device');
    if (!on) return undefined;
    const ioctl = abi.VFIO_DEVICE_GET_INFO;
    return ioctlCall({ text: `VFIO_DEVICE_GET_INFO(argsz ${size})`, on, ioctl, values: { argsz: size } });
  },
});

export const deviceCommands = [openCdev, bind, attach, detach, info];
