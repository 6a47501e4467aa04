/**
 * VFIO_IOMMU_GET_INFO on an iommufd. Where there is not room for everything, what there is room for is written all the
 * same, piece by piece, and nothing in between: iommufd_vfio_iommu_get_info().
 */

import { errno } from '../../../abi/errno.ts';
import { U64_MAX } from '../../../abi/invalid.ts';
import { PAGE_SIZE } from '../../../abi/linux.ts';
import * as vfio from '../../../abi/vfio.ts';
import { vfio_iova_range, vfioDmaAvailable, vfioIovaRanges } from '../../../abi/vfio-capabilities.ts';
import type { IoPageTable } from '../iova/io-page-table.ts';
import type { Call } from '../vfio/argsized-dispatch.ts';
import type { IommufdContext } from './context.ts';

const PAGE = BigInt(PAGE_SIZE);
const U32_MAX = 0xffff_ffff;
const VERSION = 1;

const INFO_BYTES = vfio.VFIO_IOMMU_GET_INFO.struct.size;
const AVAILABLE_BYTES = vfioDmaAvailable.struct.size;
/** Where the second capability begins: the first one ends on 4 bytes, and every capability begins on 8. */
const RANGES_AT = INFO_BYTES + Math.ceil(AVAILABLE_BYTES / 8) * 8;
const HEAD_BYTES = vfioIovaRanges.struct.size;

/** Something to write, and how large the caller's struct must be for that. */
type Piece = readonly [at: number, bytes: Uint8Array, needs: number];

export function getInfo(
  context: IommufdContext,
  { args, writeBack, writeAt }: Call<typeof vfio.VFIO_IOMMU_GET_INFO>,
): number {
  const table = context.vfioIoas?.table;
  if (!table) return -errno.ENODEV;
  const ranges = [...table.reserved.holes()];
  const argsz = RANGES_AT + HEAD_BYTES + ranges.length * vfio_iova_range.size;
  for (const [at, bytes, needs] of [...availablePieces(args.argsz), ...rangePieces(ranges)]) {
    if (args.argsz >= needs && !writeAt(at, bytes)) return -errno.EFAULT;
  }
  const info = {
    argsz,
    flags: vfio.VFIO_IOMMU_INFO_PGSIZES | vfio.VFIO_IOMMU_INFO_CAPS,
    iova_pgsizes: pageSizes(table),
    cap_offset: args.argsz >= argsz ? INFO_BYTES : 0,
    pad: 0,
  };
  return writeBack(info, Math.min(args.argsz, INFO_BYTES));
}

function availablePieces(argsz: number): Piece[] {
  const next = argsz >= RANGES_AT ? RANGES_AT : 0;
  const bytes = vfioDmaAvailable.struct.encode({
    header: { id: vfioDmaAvailable.id, version: VERSION, next },
    avail: U32_MAX,
  });
  return [[INFO_BYTES, bytes, INFO_BYTES + AVAILABLE_BYTES]];
}

/** First the ranges, and the head of them last. */
function rangePieces(ranges: readonly { start: bigint; last: bigint }[]): Piece[] {
  const pieces = ranges.map(({ start, last }, i): Piece => {
    const at = RANGES_AT + HEAD_BYTES + i * vfio_iova_range.size;
    return [at, vfio_iova_range.encode({ start, end: last }), at + vfio_iova_range.size];
  });
  const head = { header: { id: vfioIovaRanges.id, version: VERSION, next: 0 }, nr_iovas: ranges.length };
  const end = RANGES_AT + HEAD_BYTES + ranges.length * vfio_iova_range.size;
  return [...pieces, [RANGES_AT, vfioIovaRanges.struct.encode(head), end]];
}

/** iommufd_get_pagesizes(): what all domains have, and no less than a page. */
function pageSizes({ domains, alignment }: IoPageTable): bigint {
  let sizes = domains.reduce((common, { format }) => common & format.pageSizes, U64_MAX);
  if (sizes & (PAGE - 1n)) sizes = (sizes & -PAGE & U64_MAX) | PAGE;
  return sizes > alignment ? sizes : alignment;
}
