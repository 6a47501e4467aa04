/** The size that a struct claims, and requests that a file does not know. */

import fc from 'fast-check';
import type { StructIoctl } from '../../../../lib/abi/ioctl.ts';
import { IOMMU_IOAS_ALLOC, IOMMUFD_TYPE } from '../../../../lib/abi/iommufd.ts';
import { ioctls } from '../../../../lib/abi/table.ts';
import { hex, which } from '../../choices.ts';
import { command } from '../../command.ts';
import { seen } from '../../seen.ts';
import { issueBytes } from '../issue.ts';
import { addObject, objectsOf } from '../world.ts';

const OWN = 0x80;

/** iommufd's own; what makes a file is tried with a struct that is refused only. */
const own = ioctls.flatMap(({ name, ioctl }) =>
  ioctl.on.includes('iommufd') && ioctl.struct && (ioctl.request & 0xff) >= OWN
    ? [{ name, ioctl: ioctl as StructIoctl, makesFile: ioctl.newFd !== undefined }]
    : [],
);

const MOST_IOASES = 4;
const PAGE = 4096;

const oddSize = command({
  name: 'iommu-struct-size',
  weight: 4,
  choices: fc.record({
    which,
    request: fc.nat(own.length - 1),
    size: fc.constantFrom('none', 'too small', 'smallest', 'whole', 'longer', 'a page', 'over a page'),
    ones: fc.boolean(),
    tail: fc.boolean(),
  }),
  expects: () => ['ok', 'EINVAL', 'E2BIG', 'EOPNOTSUPP', 'ENOENT'],
  prepare(world, { which: nth, request, size: claimed, ones, tail }) {
    const on = world.iommu.fd(nth, 'iommufd');
    const { name, ioctl, makesFile } = own[request]!;
    if (!on || objectsOf(on.of, 'ioas').length >= MOST_IOASES) return undefined;
    const { size, minimum } = ioctl.struct as StructIoctl['struct'] & { minimum: number };
    const sizes = {
      none: 0,
      'too small': minimum - 1,
      smallest: minimum,
      whole: size,
      longer: size + 8,
      'a page': PAGE,
      'over a page': PAGE + 1,
    };
    const bytes = new Uint8Array(Math.max(size, sizes[claimed]));
    bytes.fill(ones || makesFile ? 0xff : 0, 0, size);
    if (tail) bytes.fill(1, size);
    new DataView(bytes.buffer).setUint32(0, sizes[claimed], true);
    return {
      text: `${name}(${on.name}, ${ones || makesFile ? 'ones' : 'zeroes'}, size ${sizes[claimed]}${tail ? ', more behind it' : ''})`,
      run: (side) => {
        const { out: _, ...answer } = issueBytes(side, side.fd(on), ioctl, bytes.slice());
        return answer;
      },
      agreed: ({ ret, note }) => {
        const made = /^out_ioas_id 0x([0-9a-f]+)$/.exec(note ?? '');
        if (ret === 0 && ioctl.request === IOMMU_IOAS_ALLOC.request && made)
          addObject(on.of, 'ioas', Number.parseInt(made[1]!, 16));
      },
    };
  },
});

const isKnown = (request: number): boolean => ioctls.some(({ ioctl }) => ioctl.request === request);

const unknown = command({
  name: 'iommu-unknown-request',
  weight: 2,
  choices: fc.record({
    which,
    nr: fc.nat(255),
    encoding: fc.constantFrom(0, 0, 0x4008_0000, 0xc018_0000),
    pointer: fc.constantFrom('none', 'zeroes'),
  }),
  expects: () => ['ENOTTY'],
  prepare(world, { which: nth, nr, encoding, pointer }) {
    const on = world.iommu.fd(nth, 'iommufd', 'access', 'container', 'group', 'vfio-device');
    const request = (encoding | (IOMMUFD_TYPE << 8) | nr) >>> 0;
    if (!on || isKnown(request)) return undefined;
    return {
      text: `ioctl(${on.name}, ${hex(request)}, ${pointer})`,
      run: (side) => seen(side.syscalls.ioctlSync(side.fd(on), request, pointer === 'none' ? 0 : new Uint8Array(64))),
    };
  },
});

export const sizeCommands = [oddSize, unknown];
