/** iommufd's requests about an IOAS, in the words of the scenarios. */

import * as abi from '../../../lib/abi/iommufd.ts';
import type { Kit } from './kit.ts';

export const { IOMMU_IOAS_MAP_FIXED_IOVA: FIXED, IOMMU_IOAS_MAP_READABLE: R, IOMMU_IOAS_MAP_WRITEABLE: W } = abi;
export const U64 = 0xffff_ffff_ffff_ffffn;

export function newIoas(kit: Kit, fd: number): number {
  return kit.call('ioas', fd, abi.IOMMU_IOAS_ALLOC, {}, ['out_ioas_id']).out.out_ioas_id;
}

export function destroy(kit: Kit, fd: number, id: number, what = `destroy ${id}`): void {
  kit.call(what, fd, abi.IOMMU_DESTROY, { id });
}

interface MapArgs {
  readonly flags?: number;
  readonly iova?: bigint | number;
  readonly __reserved?: number;
}

export function map(
  kit: Kit,
  what: string,
  fd: number,
  ioas_id: number,
  user_va: bigint,
  length: bigint | number,
  { flags = FIXED | R | W, iova = 0, __reserved = 0 }: MapArgs = {},
): number {
  const args = { flags, ioas_id, __reserved, user_va, length, iova };
  // Where the kernel chooses, the low bits of the address may show in its choice, and addresses differ.
  const shown = flags & FIXED ? ['iova'] : [];
  return kit.call(what, fd, abi.IOMMU_IOAS_MAP, args, shown).result;
}

export function unmap(
  kit: Kit,
  what: string,
  fd: number,
  ioas_id: number,
  iova: bigint | number,
  length: bigint | number,
): void {
  kit.call(what, fd, abi.IOMMU_IOAS_UNMAP, { ioas_id, iova, length }, ['length']);
}

export function ranges(kit: Kit, what: string, fd: number, ioas_id: number, room = 8): void {
  const allowed_iovas = new Uint8Array(room * 16);
  const args = { ioas_id, num_iovas: room, allowed_iovas };
  const { out } = kit.call(what, fd, abi.IOMMU_IOAS_IOVA_RANGES, args, ['num_iovas', 'out_iova_alignment']);
  kit.bytes(`${what} list`, allowed_iovas.subarray(0, Math.min(room, out.num_iovas) * 16));
}

export function allow(
  kit: Kit,
  what: string,
  fd: number,
  ioas_id: number,
  list: readonly (readonly [bigint, bigint])[],
): void {
  const bytes = new Uint8Array(list.length * 16);
  for (const [i, [start, last]] of list.entries()) {
    bytes.set(abi.iommu_iova_range.encode({ start, last }), i * 16);
  }
  kit.call(what, fd, abi.IOMMU_IOAS_ALLOW_IOVAS, { ioas_id, num_iovas: list.length, allowed_iovas: bytes });
}

/** Where the kernel puts something, relative to nothing that differs: with memory at a file offset, not an address. */
export function mapFile(
  kit: Kit,
  what: string,
  fd: number,
  ioas_id: number,
  file: number,
  start: bigint | number,
  length: bigint | number,
  { flags = FIXED | R | W, iova = 0 }: { flags?: number; iova?: bigint | number } = {},
): number {
  return kit.call(what, fd, abi.IOMMU_IOAS_MAP_FILE, { flags, ioas_id, fd: file, start, length, iova }, ['iova'])
    .result;
}

export function copy(
  kit: Kit,
  what: string,
  fd: number,
  from: number,
  to: number,
  src_iova: bigint | number,
  length: bigint | number,
  { flags = FIXED | R | W, iova = 0 }: { flags?: number; iova?: bigint | number } = {},
): void {
  const args = { flags, dst_ioas_id: to, src_ioas_id: from, length, dst_iova: iova, src_iova };
  kit.call(what, fd, abi.IOMMU_IOAS_COPY, args, ['dst_iova']);
}
