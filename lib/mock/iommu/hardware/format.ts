/** Page table formats of IOMMUs, as far as user space can tell them apart. */

import type { Interval } from '../iova/interval-map.ts';

export interface Format {
  readonly name: string;
  /** Bit n set: entries of 2^n bytes. */
  readonly pageSizes: bigint;
  readonly smallestPage: bigint;
  readonly aperture: Interval;
  /** Whether it has an entry for what may be neither read nor written. */
  readonly mapsWithoutAccess: boolean;
}

function format(name: string, pageSizes: bigint, aperture: Interval, mapsWithoutAccess = true): Format {
  return { name, pageSizes, smallestPage: pageSizes & -pageSizes, aperture, mapsWithoutAccess };
}

/** The test driver's: drivers/iommu/iommufd/selftest.c. Its page is half a CPU's, so that alignment is tested. */
export const amdv1Mock = format('amdv1-mock', 0x00ff_ffff_ffff_f800n, { start: 0x100_0000n, last: 0x7fff_ffffn });

/** The test driver's with MOCK_IOMMUPT_HUGE: no aperture of its own but that of the format. */
export const amdv1MockHuge = format('amdv1-mock-huge', 0x10_1000n, { start: 0n, last: 0x00ff_ffff_ffff_ffffn });

/** The kernel warns when VT-d is asked to map without access. VT-d second stage with 48 bits, and 4 KiB, 2 MiB and 1 GiB pages: what QEMU's intel-iommu has with aw-bits=48. */
export const vtdSecondStage = format('vtd-ss', 0x4020_1000n, { start: 0n, last: 0xffff_ffff_ffffn }, false);
