/** Looking at all that address spaces map, as the kernel itself reads it through them. */

import { iommuTest } from '../../../lib/abi/iommufd-test.ts';
import type { Call } from '../command.ts';
import { answerName } from '../seen.ts';
import type { Side } from '../side.ts';
import type { World } from '../world.ts';
import { type Area, type IommuFd, type Iommufd, type IommuObject, objectsOf } from './world.ts';

const PAGE = 4096n;
/** Pages of an address space, and bytes of a page. */
const MOST_PAGES = 24;
const BYTES = 8;

export function addressSpaces(world: World): Call[] {
  if (!world.facts.iommufdTest) return [];
  return world.iommu.fds.flatMap((fd) => (fd?.of.kind === 'iommufd' ? spacesOf(fd, fd.of) : []));
}

const spacesOf = (fd: IommuFd, of: Iommufd): Call[] =>
  objectsOf(of, 'ioas')
    .filter(({ areas }) => areas.length > 0)
    .map((ioas) => readThrough(fd, ioas));

function readThrough(fd: IommuFd, { id, areas }: IommuObject): Call {
  const pages = areas.flatMap(pagesOf).slice(0, MOST_PAGES);
  return {
    text: `${pages.length} pages of ${fd.name}'s ioas ${id}, as the kernel finds them`,
    run: (side) => {
      const access = createAccess(side, side.fd(fd), id);
      if (access < 0) return { ret: access };
      const parts = pages.map((iova) => readAt(side, side.fd(fd), access, iova));
      side.syscalls.closeSync(access);
      return {
        ret: 0,
        note: parts.map(({ ret }) => answerName(ret)).join(' '),
        bytes: Buffer.concat(parts.map((part) => part.bytes)),
      };
    },
  };
}

function pagesOf({ iova, length }: Area): bigint[] {
  const count = Math.min(MOST_PAGES, Number(length / PAGE));
  return Array.from({ length: count }, (_, i) => iova + BigInt(i) * PAGE);
}

function createAccess({ syscalls }: Side, fd: number, id: number): number {
  const { request, struct } = iommuTest.CREATE_ACCESS;
  const bytes = struct.encode({ id });
  const ret = syscalls.ioctlSync(fd, request, bytes);
  return ret < 0 ? ret : struct.decode(bytes).create_access.out_access_fd;
}

function readAt({ syscalls }: Side, fd: number, access: number, iova: bigint): { ret: number; bytes: Uint8Array } {
  const { request, struct } = iommuTest.ACCESS_RW;
  const bytes = new Uint8Array(BYTES);
  const arg = struct.encode({ id: access, access_rw: { iova, length: BYTES } });
  const at =
    struct.fields.find(({ name }) => name === 'access_rw')!.offset +
    iommuTest.ACCESS_RW.arm.fields.find(({ name }) => name === 'uptr')!.offset;
  return { ret: syscalls.ioctlSync(fd, request, arg, [{ at, to: bytes }]), bytes };
}
