/** VFIO's containers and groups: made, put together, set to an IOMMU, and iommufd in the container's place. */

import fc from 'fast-check';
import * as abi from '../../../../lib/abi/vfio.ts';
import { mostly, oneIn, which } from '../../choices.ts';
import { command } from '../../command.ts';
import { seen } from '../../seen.ts';
import { argszOf } from '../choices.ts';
import { ioctlCall } from '../issue.ts';
import { opening } from './files.ts';

/** Of the device under test: the lab's, and the mock's. */
export const DEVICE = '0000:00:01.0';
export const GROUP_PATH = '/dev/vfio/1';
const CONTAINER_PATH = '/dev/vfio/vfio';

const openContainer = command({
  name: 'open-container',
  weight: 1,
  choices: fc.constant(0),
  expects: () => ['ok'],
  prepare: (world) =>
    world.iommu.count('container') >= 2
      ? undefined
      : opening(
          world,
          CONTAINER_PATH,
          { kind: 'container', name: world.name('container'), ready: false, areas: [] },
          2,
        ),
});

const openGroup = command({
  name: 'open-group',
  weight: 2,
  choices: fc.constant(0),
  expects: () => ['ok', 'EBUSY'],
  prepare: (world) => opening(world, GROUP_PATH, { kind: 'group', name: world.name('group') }, 2),
});

const setContainer = command({
  name: 'group-set-container',
  weight: 4,
  choices: fc.record({ which, on: which, other: fc.nat(15) }),
  expects: () => ['ok', 'EINVAL', 'EBADF', 'EBADFD'],
  prepare(world, { which: nth, on: nthOn, other }) {
    const on = world.iommu.fd(nth, 'group');
    const to = other === 15 ? undefined : other === 14 ? on : world.iommu.fd(nthOn, 'container', 'iommufd');
    if (!on || (!to && other < 14)) return undefined;
    return ioctlCall({
      text: `VFIO_GROUP_SET_CONTAINER(${to?.name ?? 'no such fd'})`,
      on,
      ioctl: abi.VFIO_GROUP_SET_CONTAINER,
      values: (side) => ({ fd: side.fd(to) }),
    });
  },
});

const groupNumbers = command({
  name: 'group-unset-container',
  weight: 1,
  choices: which,
  expects: () => ['ok', 'EINVAL'],
  prepare(world, nth) {
    const on = world.iommu.fd(nth, 'group');
    if (!on) return undefined;
    return {
      text: `VFIO_GROUP_UNSET_CONTAINER(${on.name})`,
      run: (side) => seen(side.syscalls.ioctlSync(side.fd(on), abi.VFIO_GROUP_UNSET_CONTAINER.request, 0)),
    };
  },
});

const groupStatus = command({
  name: 'group-status',
  weight: 1,
  choices: fc.record({ which, argsz: argszOf(8) }),
  expects: () => ['ok', 'EINVAL'],
  prepare(world, { which: nth, argsz: size }) {
    const on = world.iommu.fd(nth, 'group');
    if (!on) return undefined;
    const ioctl = abi.VFIO_GROUP_GET_STATUS;
    return ioctlCall({ text: `VFIO_GROUP_GET_STATUS(argsz ${size})`, on, ioctl, values: { argsz: size } });
  },
});

const groupDevice = command({
  name: 'group-device',
  weight: 2,
  choices: fc.record({ which, name: mostly([DEVICE], ['', '0000:00:1f.7', '0000:00:01', 'vfio0'], 8) }),
  expects: () => ['ok', 'EINVAL', 'ENODEV'],
  prepare(world, { which: nth, name }) {
    const on = world.iommu.fd(nth, 'group');
    const of = { kind: 'vfio-device' as const, name: world.name('device'), of: undefined };
    const fd = { name: of.name, of };
    const keep = world.iommu.place(fd);
    if (!on || !keep || world.iommu.count('vfio-device') >= 2) return undefined;
    return ioctlCall({
      text: `${of.name} = VFIO_GROUP_GET_DEVICE_FD(${name})`,
      on,
      ioctl: abi.VFIO_GROUP_GET_DEVICE_FD,
      values: { name },
      keep: (side, _, ret) => void side.adopt(fd, ret),
      agreed: (ret) => {
        if (ret >= 0) keep();
      },
    });
  },
});

const setIommu = command({
  name: 'container-set-iommu',
  weight: 4,
  choices: fc.record({ which, type: mostly([abi.VFIO_TYPE1_IOMMU, abi.VFIO_TYPE1v2_IOMMU], [0, 2, 7, 8], 8) }),
  expects: () => ['ok', 'EINVAL'],
  prepare(world, { which: nth, type }) {
    const on = world.iommu.fd(nth, 'container', 'iommufd');
    if (!on) return undefined;
    return {
      text: `VFIO_SET_IOMMU(${on.name}, ${type})`,
      run: (side) => seen(side.syscalls.ioctlSync(side.fd(on), abi.VFIO_SET_IOMMU.request, type)),
      agreed: ({ ret }) => {
        if (ret === 0) on.of.ready = true;
      },
    };
  },
});

const checkExtension = command({
  name: 'container-extension',
  weight: 1,
  choices: fc.record({ which, number: fc.nat(12), version: oneIn(8) }),
  expects: () => ['ok'],
  prepare(world, { which: nth, number, version }) {
    const on = world.iommu.fd(nth, 'container', 'iommufd');
    if (!on) return undefined;
    const { request } = version ? abi.VFIO_GET_API_VERSION : abi.VFIO_CHECK_EXTENSION;
    return {
      text: version ? `VFIO_GET_API_VERSION(${on.name})` : `VFIO_CHECK_EXTENSION(${on.name}, ${number})`,
      run: (side) => seen(side.syscalls.ioctlSync(side.fd(on), request, version ? 0 : number)),
    };
  },
});

export const containerCommands = [
  openContainer,
  openGroup,
  setContainer,
  groupNumbers,
  groupStatus,
  groupDevice,
  setIommu,
  checkExtension,
];
