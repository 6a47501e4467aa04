/** The kernel's own accesses: reading, writing and pinning what an address space maps. */

import fc from 'fast-check';
import {
  iommuTest,
  MOCK_ACCESS_RW_SLOW_PATH,
  MOCK_ACCESS_RW_WRITE,
  MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
  MOCK_FLAGS_ACCESS_WRITE,
} from '../../../../lib/abi/iommufd-test.ts';
import { hex, mostly, oneIn, pick, which } from '../../choices.ts';
import { command } from '../../command.ts';
import type { World } from '../../world.ts';
import { idChoice, iovaChoice, mappedIova, memoryChoice, memoryFor, pickId } from '../choices.ts';
import { ioctlCall } from '../issue.ts';
import type { Access, IommuFd, Space } from '../world.ts';

const MOST_ACCESSES = 3;

const create = command({
  name: 'create-access',
  weight: 3,
  choices: fc.record({
    which,
    id: idChoice,
    flags: mostly([0, MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES], [2], 12),
  }),
  expects: () => ['ok', 'ENOENT', 'EOPNOTSUPP'],
  prepare(world, { which: nth, id: choice, flags }) {
    const on = world.iommu.fd(nth, 'iommufd');
    const id = on && pickId(on.of, choice, 'ioas');
    if (!on || id === undefined || world.iommu.count('access') >= MOST_ACCESSES) return undefined;
    const of: Access = { kind: 'access', name: world.name('access'), of: on.of, ioas: id, pages: new Set() };
    const fd = { name: of.name, of };
    const keep = world.iommu.place(fd);
    if (!keep) return undefined;
    return ioctlCall({
      text: `${of.name} = CREATE_ACCESS(ioas ${id}, flags ${flags})`,
      on,
      ioctl: iommuTest.CREATE_ACCESS,
      values: { id, create_access: { flags } },
      hidden: ['out_access_fd'],
      keep: (side, out) => void side.adopt(fd, out.create_access.out_access_fd),
      agreed: (ret) => {
        if (ret === 0) keep();
      },
    });
  },
});

/** An access and an iommufd to ask for it; now and then a file that is no access. */
const target = fc.record({ which, none: fc.nat(31) });

function accessOf(world: World, { which: nth, none }: { which: number; none: number }) {
  const on = world.iommu.fd(nth, 'iommufd');
  const access = world.iommu.fd(nth, 'access');
  if (!on || !access) return undefined;
  const file: { readonly name: string } | undefined = none === 31 ? on : none === 30 ? undefined : access;
  return { on, access, file, name: file?.name ?? 'no such fd' };
}

const spaceOf = ({ of }: IommuFd & { of: Access }): Space => of.of.objects.get(of.ioas) ?? { areas: [] };

const readWrite = command({
  name: 'access-rw',
  weight: 7,
  choices: fc.record({
    target,
    at: iovaChoice,
    within: mostly([0n, 4088n], [1n, 2047n], 4),
    length: mostly([16n, 4096n, 8n], [0n, 1n, 8192n, (16n << 20n) + 1n, (1n << 64n) - 1n], 6),
    flags: mostly([0, MOCK_ACCESS_RW_WRITE, MOCK_ACCESS_RW_WRITE | MOCK_ACCESS_RW_SLOW_PATH], [4, 8], 8),
    byte: fc.integer({ min: 1, max: 255 }),
  }),
  expects: () => ['ok', 'ENOENT', 'EINVAL', 'EPERM', 'EFAULT', 'EBADFD', 'ENOMEM', 'EOPNOTSUPP'],
  prepare(world, { target: choice, at, within, length, flags, byte }) {
    const found = accessOf(world, choice);
    if (!found) return undefined;
    const iova = BigInt.asUintN(64, mappedIova(at, spaceOf(found.access)).iova + within);
    const buffer = () => (length > 16n << 20n ? 0n : new Uint8Array(Number(length)).fill(byte));
    return ioctlCall({
      text: `ACCESS_RW(${found.name}, ${hex(iova)}, ${hex(length)}, bytes ${hex(byte)}, flags ${flags})`,
      on: found.on,
      ioctl: iommuTest.ACCESS_RW,
      values: (side) => ({ id: side.fd(found.file), access_rw: { iova, length, flags, uptr: buffer() } }),
    });
  },
});

const pages = command({
  name: 'access-pages',
  weight: 4,
  choices: fc.record({
    target,
    at: iovaChoice,
    memory: memoryChoice,
    checked: oneIn(3),
    flags: mostly([0, MOCK_FLAGS_ACCESS_WRITE], [2], 10),
  }),
  expects: () => ['ok', 'ENOENT', 'EOPNOTSUPP', 'EBADE'],
  prepare(world, { target: choice, at, memory: place, checked, flags }) {
    const found = accessOf(world, choice);
    if (!found) return undefined;
    const { iova, length: wanted } = mappedIova(at, spaceOf(found.access));
    const memory = memoryFor(world, place, wanted);
    const length = checked ? memory.length : wanted;
    const { pages: pinned } = found.access.of;
    return ioctlCall({
      text: `ACCESS_PAGES(${found.name}, ${hex(iova)}, ${hex(length)}, ${checked ? memory.text : 'unchecked'}, flags ${flags})`,
      on: found.on,
      ioctl: iommuTest.ACCESS_PAGES,
      values: (side) => ({
        id: side.fd(found.file),
        access_pages: { flags, iova, length, uptr: checked ? side.address(memory.place) : 0n },
      }),
      agreed: (ret, out) => {
        if (ret === 0) pinned.add(out.access_pages.out_access_pages_id);
      },
    });
  },
});

const destroyPages = command({
  name: 'access-pages-destroy',
  weight: 2,
  choices: fc.record({ target, page: which, odd: oneIn(8) }),
  expects: () => ['ok', 'ENOENT'],
  prepare(world, { target: choice, page, odd }) {
    const found = accessOf(world, choice);
    if (!found) return undefined;
    const { pages: pinned } = found.access.of;
    const access_pages_id = odd || pinned.size === 0 ? page : pick([...pinned], page);
    return ioctlCall({
      text: `DESTROY_ACCESS_PAGES(${found.name}, ${access_pages_id})`,
      on: found.on,
      ioctl: iommuTest.DESTROY_ACCESS_PAGES,
      values: (side) => ({ id: side.fd(found.file), destroy_access_pages: { access_pages_id } }),
      agreed: () => void pinned.delete(access_pages_id),
    });
  },
});

const replaceIoas = command({
  name: 'access-replace-ioas',
  weight: 2,
  choices: fc.record({ target, id: idChoice }),
  expects: () => ['ok', 'ENOENT'],
  prepare(world, { target: choice, id }) {
    const found = accessOf(world, choice);
    const ioas_id = found && pickId(found.access.of.of, id, 'ioas');
    if (!found || ioas_id === undefined) return undefined;
    return ioctlCall({
      text: `ACCESS_REPLACE_IOAS(${found.name}, ioas ${ioas_id})`,
      on: found.on,
      ioctl: iommuTest.ACCESS_REPLACE_IOAS,
      values: (side) => ({ id: side.fd(found.file), access_replace_ioas: { ioas_id } }),
      agreed: (ret) => {
        if (ret === 0) found.access.of.ioas = ioas_id;
      },
    });
  },
});

export const accessCommands = [create, readWrite, pages, destroyPages, replaceIoas];
