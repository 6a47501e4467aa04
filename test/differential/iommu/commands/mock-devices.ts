/** The test driver's: devices that bring page tables, and what those have. */

import fc from 'fast-check';
import { iommuTest, MOCK_FLAGS_DEVICE_NO_DIRTY, MOCK_FLAGS_DEVICE_PASID } from '../../../../lib/abi/iommufd-test.ts';
import { hex, mostly, oneIn, which } from '../../choices.ts';
import { command } from '../../command.ts';
import {
  freeIova,
  idChoice,
  iovaChoice,
  type Memory,
  mappedIova,
  memoryChoice,
  memoryFor,
  pickId,
} from '../choices.ts';
import { ioctlCall } from '../issue.ts';
import { addObject, everywhere, objectsOf, type Space } from '../world.ts';

const PAGE = 4096n;
/** Each is a device that the kernel makes. */
const MOST_DEVICES = 4;

const mockDomain = command({
  name: 'mock-domain',
  weight: 3,
  choices: fc.record({
    which,
    id: idChoice,
    withFlags: oneIn(4),
    dev_flags: mostly([MOCK_FLAGS_DEVICE_NO_DIRTY, MOCK_FLAGS_DEVICE_PASID], [0, 16], 3),
  }),
  expects: () => ['ok', 'EADDRINUSE', 'EFAULT', 'ENOENT', 'EINVAL'],
  prepare(world, { which: nth, id: choice, withFlags, dev_flags }) {
    const on = world.iommu.fd(nth, 'iommufd');
    const id = on && pickId(on.of, choice, 'ioas', 'ioas', 'hwpt');
    if (!on || id === undefined || objectsOf(on.of, 'mock-device').length >= MOST_DEVICES) return undefined;
    const ids = { out_stdev_id: 0, out_hwpt_id: 0, out_idev_id: 0 };
    const keep = ({ out_stdev_id, out_hwpt_id, out_idev_id }: typeof ids): void => {
      addObject(on.of, 'mock-device', out_stdev_id);
      if (!on.of.objects.has(out_hwpt_id)) addObject(on.of, 'hwpt', out_hwpt_id);
      addObject(on.of, 'device', out_idev_id);
    };
    if (withFlags) {
      return ioctlCall({
        text: `MOCK_DOMAIN_FLAGS(id ${id}, ${dev_flags})`,
        on,
        ioctl: iommuTest.MOCK_DOMAIN_FLAGS,
        values: { id, mock_domain_flags: { dev_flags } },
        agreed: (ret, out) => {
          if (ret === 0) keep(out.mock_domain_flags);
        },
      });
    }
    return ioctlCall({
      text: `MOCK_DOMAIN(id ${id})`,
      on,
      ioctl: iommuTest.MOCK_DOMAIN,
      values: { id },
      agreed: (ret, out) => {
        if (ret === 0) keep(out.mock_domain);
      },
    });
  },
});

const replace = command({
  name: 'mock-domain-replace',
  weight: 2,
  choices: fc.record({ which, id: idChoice, target: idChoice }),
  expects: () => ['ok', 'ENOENT', 'EINVAL'],
  prepare(world, { which: nth, id: choice, target }) {
    const on = world.iommu.fd(nth, 'iommufd');
    const id = on && pickId(on.of, choice, 'mock-device');
    const pt_id = on && pickId(on.of, target, 'ioas', 'hwpt');
    if (!on || id === undefined || pt_id === undefined) return undefined;
    return ioctlCall({
      text: `MOCK_DOMAIN_REPLACE(device ${id}, by ${pt_id})`,
      on,
      ioctl: iommuTest.MOCK_DOMAIN_REPLACE,
      values: { id, mock_domain_replace: { pt_id } },
      agreed: (ret, out) => {
        const table = out.mock_domain_replace.pt_id;
        if (ret === 0 && !on.of.objects.has(table)) addObject(on.of, 'hwpt', table);
      },
    });
  },
});

const addReserved = command({
  name: 'mock-add-reserved',
  weight: 1,
  choices: fc.record({ which, id: idChoice, at: iovaChoice }),
  expects: () => ['ok', 'EADDRINUSE'],
  prepare(world, { which: nth, id: choice, at }) {
    const on = world.iommu.fd(nth, 'iommufd');
    const id = on && pickId(on.of, choice, 'ioas');
    if (!on || id === undefined) return undefined;
    const { iova, length } = freeIova(at);
    // All of it at once would leave nothing to do.
    const part = length > PAGE && length < 1n << 32n ? PAGE : length;
    return ioctlCall({
      text: `ADD_RESERVED(ioas ${id}, ${hex(iova)}, ${hex(part)})`,
      on,
      ioctl: iommuTest.ADD_RESERVED,
      values: { id, add_reserved: { start: iova, length: part } },
    });
  },
});

/** The memory that was mapped there, as far as one mapping goes. */
function whatIsAt({ areas }: Space, iova: bigint, length: bigint): Memory | undefined {
  const area = areas.find((one) => one.iova <= iova && iova + length <= one.iova + one.length);
  if (!area?.memory) return undefined;
  const { mapping, offset } = area.memory;
  const at = offset + iova - area.iova;
  return { place: { mapping, offset: at }, length, text: `${mapping?.name ?? 'nowhere'} + ${hex(at)}` };
}

const checkMap = command({
  name: 'mock-check-map',
  weight: 4,
  choices: fc.record({ which, id: idChoice, at: iovaChoice, memory: memoryChoice }),
  expects: () => ['ok', 'EINVAL', 'EFAULT', 'ENOENT'],
  prepare(world, { which: nth, id: choice, at, memory: place }) {
    const on = world.iommu.fd(nth, 'iommufd');
    const id = on && pickId(on.of, choice, 'hwpt');
    if (!on || id === undefined) return undefined;
    const space = everywhere(on.of);
    const { iova, length: wanted } = mappedIova(at, space);
    const memory = (place.which % 4 > 0 && whatIsAt(space, iova, wanted)) || memoryFor(world, place, wanted);
    return ioctlCall({
      text: `MD_CHECK_MAP(hwpt ${id}, ${hex(iova)}, ${hex(memory.length)}, ${memory.text})`,
      on,
      ioctl: iommuTest.MD_CHECK_MAP,
      values: (side) => ({ id, check_map: { iova, length: memory.length, uptr: side.address(memory.place) } }),
    });
  },
});

const checkRefs = command({
  name: 'mock-check-refs',
  weight: 3,
  choices: fc.record({ which, memory: memoryChoice, pages: fc.integer({ min: 0, max: 4 }), refs: fc.nat(3) }),
  expects: () => ['ok', 'EIO', 'EINVAL', 'EFAULT'],
  prepare(world, { which: nth, memory: place, pages, refs }) {
    const on = world.iommu.fd(nth, 'iommufd');
    if (!on) return undefined;
    const memory = memoryFor(world, place, BigInt(pages) * PAGE);
    return ioctlCall({
      text: `MD_CHECK_REFS(${memory.text}, ${hex(memory.length)}, ${refs})`,
      on,
      ioctl: iommuTest.MD_CHECK_REFS,
      values: (side) => ({ check_refs: { length: memory.length, uptr: side.address(memory.place), refs } }),
    });
  },
});

/** Of page tables, whoever's. */
export const mockCheckCommands = [addReserved, checkMap, checkRefs];

export const mockDeviceCommands = [mockDomain, replace];
