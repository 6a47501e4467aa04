/** Opening and closing iommufds, and destroying what is on them. */

import fc from 'fast-check';
import { IOMMU_DESTROY } from '../../../../lib/abi/iommufd.ts';
import { O_CLOEXEC, O_RDWR } from '../../../../lib/abi/linux.ts';
import { which } from '../../choices.ts';
import { type Call, command } from '../../command.ts';
import { seen } from '../../seen.ts';
import type { World } from '../../world.ts';
import { idChoice, pickId } from '../choices.ts';
import { ioctlCall } from '../issue.ts';
import type { IommuFile } from '../world.ts';

/** Opens a path and keeps the file; undefined when there are enough of them. */
export function opening(world: World, path: string, of: IommuFile, most: number): Call | undefined {
  const fd = { name: of.name, of };
  const keep = world.iommu.place(fd);
  if (!keep || world.iommu.count(of.kind) >= most) return undefined;
  return {
    text: `${of.name} = open(${path})`,
    run: (side) => side.adopt(fd, side.syscalls.openSync(path, O_RDWR | O_CLOEXEC)),
    agreed: ({ ret }) => {
      if (ret >= 0) keep();
    },
  };
}

const openIommufd = command({
  name: 'open-iommufd',
  weight: 1,
  choices: fc.constant(0),
  expects: () => ['ok'],
  prepare: (world) => {
    if (world.iommu.count('iommufd') >= 2) return undefined;
    const of = { kind: 'iommufd' as const, name: world.name('iommufd'), ready: false, objects: new Map(), areas: [] };
    return opening(world, '/dev/iommu', of, 2);
  },
});

const close = command({
  name: 'close-iommu',
  weight: 1,
  choices: fc.record({ which, iommufd: fc.nat(5) }),
  expects: () => ['ok'],
  prepare(world, { which: nth, iommufd }) {
    const kinds = ['access', 'container', 'group', 'vfio-device'] as const;
    const on = world.iommu.fd(nth, ...kinds, ...(iommufd === 5 ? (['iommufd'] as const) : []));
    if (!on) return undefined;
    return {
      text: `close(${on.name})`,
      run: (side) => {
        const ret = side.syscalls.closeSync(side.fd(on));
        side.fds.delete(on);
        return seen(ret);
      },
      agreed: () => {
        world.iommu.fds[world.iommu.fds.indexOf(on)] = undefined;
      },
    };
  },
});

const destroy = command({
  name: 'iommu-destroy',
  weight: 4,
  choices: fc.record({ which, id: idChoice }),
  expects: () => ['ok', 'ENOENT', 'EBUSY'],
  prepare(world, { which: nth, id: choice }) {
    const on = world.iommu.fd(nth, 'iommufd');
    const id = on && pickId(on.of, choice, 'ioas', 'hwpt', 'mock-device', 'device');
    if (!on || id === undefined) return undefined;
    return ioctlCall({
      text: `IOMMU_DESTROY(${id})`,
      on,
      ioctl: IOMMU_DESTROY,
      values: { id },
      agreed: (ret) => {
        // A page table that was made for a device goes with it.
        if (ret === 0 || ret === -2) on.of.objects.delete(id);
      },
    });
  },
});

export const fileCommands = [openIommufd, close, destroy];
