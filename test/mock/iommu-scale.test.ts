/** What the mocked IOMMU costs follows the number of ranges: counted in pages, areas and steps, never in time. */

import { afterEach, describe, expect, test, vi } from 'vitest';
import * as abi from '../../lib/abi/index.ts';
import type { Ioas, Iommufd } from '../../lib/iommu/index.ts';
import { openHost } from '../../lib/kvm/index.ts';
import { type IommuPolicy, iommuPolicies } from '../../lib/mock/index.ts';
import { Area } from '../../lib/mock/iommu/iova/area.ts';

const PAGE = 0x1000;
const MIB = 2 ** 20;
const TIB = 2 ** 40;
/** Beyond what VT-d keeps for interrupts. */
const IOVA = 2n ** 41n;

afterEach(() => {
  vi.restoreAllMocks();
});

/** A guest_memfd and an IOAS that VT-d's page tables fill, with 48 bits of addresses. */
async function machine(policy: IommuPolicy, size: number) {
  const host = await openHost({ backend: 'mock', kernel: 'rfc-v2', iommu: policy });
  const vm = await host.createVm({ type: 'sw-protected' });
  const gmem = await vm.createGuestMemfd({ size, mmap: true, initially: 'shared' });
  const mapping = await gmem.map();
  const iommufd = await host.iommufd();
  const ioas = await iommufd.allocIoas();
  const device = await host.vfio.openDevice(host.features.vfioDevices[0]!.address, { iommufd });
  await device.attach(ioas);
  const mock = host.mock!;
  mock.journal.clear();
  return {
    host,
    device,
    gmem,
    mapping,
    iommufd,
    ioas,
    mock,
    engine: mock.dma(iommufd.fd, ioas.id),
    pages: mock.pagesInUse,
  };
}

type Machine = Awaited<ReturnType<typeof machine>>;

const steps = ({ mock }: Machine): string[] =>
  mock.journal.entries.map(({ step }) => step).filter((step) => step.startsWith('iommu'));

describe.each(iommuPolicies)('a terabyte in one area under %s', (policy) => {
  test('takes no page before it is touched, and one for each page that is', async () => {
    const it = await machine(policy, TIB);
    if (policy === 'pin') await it.ioas.map({ address: it.mapping, iova: IOVA });
    else await it.ioas.mapFile({ file: it.gmem, length: TIB, iova: IOVA });
    expect(it.mock.pagesInUse).toBe(it.pages);
    expect(it.mock.dmaPinned.now).toBe(policy === 'pin' ? TIB / PAGE : 0);
    it.engine.write(IOVA + BigInt(TIB - PAGE), Uint8Array.of(0x5a));
    expect(it.mock.pagesInUse).toBe(it.pages + 1);
    expect((await it.mapping.read(TIB - PAGE, 1))[0]).toBe(0x5a);
    await it.host.close();
  });

  test('two megabytes of it are converted in as many steps as a page is', async () => {
    const counts: string[][] = [];
    for (const size of [PAGE, 2 * MIB]) {
      const it = await machine(policy, TIB);
      if (policy === 'pin') await it.ioas.map({ address: it.mapping, iova: IOVA });
      else await it.ioas.mapFile({ file: it.gmem, length: TIB, iova: IOVA });
      const result = await it.gmem.tryConvert({ offset: TIB / 2 + 2 * MIB, size, to: 'private' });
      expect(result.ok).toBe(policy !== 'pin');
      counts.push(steps(it).filter((step) => step !== 'iommu-split'));
      const splits = steps(it).length - counts.at(-1)!.length;
      // VT-d has entries of 1 GiB and 2 MiB: at most one of each size is broken up at each end.
      expect(splits).toBeLessThanOrEqual(policy === 'notifier' ? 4 : 0);
      await it.host.close();
    }
    expect(counts[0]).toEqual(counts[1]);
    expect(counts[0]!.length).toBe(policy === 'pin' ? 1 : 2);
  });
});

/** Maps every second page by its file, each an area of its own: through the seam, as fast as it goes. */
function mapEverySecond({ host, gmem }: Machine, { fd }: Iommufd, { id }: Ioas, areas: number): void {
  const { request, struct } = abi.IOMMU_IOAS_MAP_FILE;
  const flags = abi.IOMMU_IOAS_MAP_FIXED_IOVA | abi.IOMMU_IOAS_MAP_READABLE;
  for (let i = 0; i < areas; i++) {
    const at = { start: 2 * i * PAGE, length: PAGE, iova: IOVA + BigInt(2 * i * PAGE) };
    const answer = host.raw.syscalls.ioctlSync(fd, request, struct.encode({ flags, ioas_id: id, fd: gmem.fd, ...at }));
    if (answer !== 0) throw new Error(`area ${i}: ${answer}`);
  }
}

test('of 2,000 areas a conversion and an unmap look at those that they touch', async () => {
  const areas = 2_000;
  const it = await machine('notifier', 2 * areas * PAGE);
  mapEverySecond(it, it.iommufd, it.ioas, areas);
  expect([it.mock.pagesInUse - it.pages, it.mock.dmaPinned.now]).toEqual([areas, 0]);
  const looked = vi.spyOn(Area.prototype, 'addressesOf');
  it.mock.journal.clear();
  await it.gmem.convert({ offset: areas * PAGE, size: 20 * PAGE, to: 'private' });
  expect(steps(it)).toEqual(new Array(10).fill('iommu-unmap'));
  // Each twice: to decide what becomes of it, and to cut it out.
  expect(looked.mock.calls.length).toBeLessThanOrEqual(2 * 10 + 2);
  it.mock.journal.clear();
  await it.ioas.unmap({ iova: IOVA, length: PAGE });
  expect(steps(it)).toEqual(['iommu-unmap']);
  const before = it.engine.read(IOVA + BigInt(2 * PAGE), 1).length;
  expect(before).toBe(1);
  expect(await it.ioas.unmapAll()).toBe(BigInt((areas - 11) * PAGE));
  await it.host.close();
});

test('a conversion of many areas takes steps in proportion to them, and no more', async () => {
  const counts = [];
  for (const areas of [50, 500]) {
    const it = await machine('notifier', 2 * areas * PAGE);
    mapEverySecond(it, it.iommufd, it.ioas, areas);
    const looked = vi.spyOn(Area.prototype, 'addressesOf');
    await it.gmem.convert({ offset: 0, size: 2 * areas * PAGE, to: 'private' });
    counts.push(looked.mock.calls.length);
    looked.mockRestore();
    await it.host.close();
  }
  const [few = 0, many = 0] = counts;
  expect(few).toBeGreaterThan(0);
  expect(many).toBeLessThanOrEqual(10 * few);
});
