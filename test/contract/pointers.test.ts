/** Structs that point to buffers: the kernel writes there as many bytes as other fields of the struct say. */

import { afterEach, describe, expect, test } from 'vitest';
import { IOMMU_IOAS_IOVA_RANGES, iommuTest, vfioWithBitmap } from '../../lib/abi/index.ts';
import { createMock } from '../../lib/mock/index.ts';
import { openBackend, probeBackends } from '../../lib/syscalls/open.ts';
import type { Syscalls } from '../../lib/syscalls/seam.ts';

const backends = {
  native: () => openBackend('native'),
  ffi: () => openBackend('ffi'),
  mock: () => createMock().syscalls,
} as const;

const { UNMAP_DMA } = vfioWithBitmap;
const { ACCESS_RW } = iommuTest;

/** [request, the struct, where its pointer is, how far the kernel reaches]. */
const TOO_FAR: readonly (readonly [string, number, Uint8Array, number, number])[] = [
  ['ranges', IOMMU_IOAS_IOVA_RANGES.request, IOMMU_IOAS_IOVA_RANGES.struct.encode({ num_iovas: 3 }), 16, 48],
  ['access', ACCESS_RW.request, ACCESS_RW.struct.encode({ access_rw: { length: 48n } }), 32, 48],
  ['bitmap', UNMAP_DMA.request, UNMAP_DMA.struct.encode({ bitmap: { size: 48n } }), 40, 48],
  ['no end', ACCESS_RW.request, ACCESS_RW.struct.encode({ access_rw: { length: 2n ** 64n - 1n } }), 32, 1 << 16],
];

describe.each(['native', 'ffi', 'mock'] as const)('%s', (name) => {
  // No device is opened, so a backend is all it takes.
  const probe = probeBackends().find(({ backend }) => backend === name);
  const missing = probe?.available === false ? probe.description : undefined;
  const open: Syscalls[] = [];
  afterEach(() => {
    for (const syscalls of open.splice(0)) syscalls.dispose();
  });

  test.for(TOO_FAR)('a shorter buffer is refused before any kernel sees it: %s', async (row, context) => {
    if (missing) context.skip(missing);
    const [what, request, struct, at, reach] = row;
    const syscalls = backends[name]();
    open.push(syscalls);
    const fd = syscalls.eventfdSync(0, 0);
    const tooSmall = expect.objectContaining({ name: 'RangeError', code: 'ERR_BUFFER_OUT_OF_BOUNDS' });
    const short = [{ at, to: new Uint8Array(Math.min(reach, 48) - 1) }];
    expect(() => syscalls.ioctlSync(fd, request, struct, short)).toThrowError(tooSmall);
    await expect(syscalls.ioctl(fd, request, struct, short)).rejects.toThrowError(tooSmall);
    if (what !== 'no end') {
      // An eventfd knows no such request, so nothing is written; what counts is that it got there.
      expect(syscalls.ioctlSync(fd, request, struct, [{ at, to: new Uint8Array(reach) }])).toBe(-25);
    }
    syscalls.closeSync(fd);
  });
});
