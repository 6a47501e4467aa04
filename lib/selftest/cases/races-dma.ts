/** Conversions while their pages are mapped and unmapped for a device. */

import {
  IOMMU_IOAS_MAP,
  IOMMU_IOAS_MAP_FIXED_IOVA,
  IOMMU_IOAS_MAP_READABLE,
  IOMMU_IOAS_MAP_WRITEABLE,
  IOMMU_IOAS_UNMAP,
  PAGE_SIZE,
} from '../../abi/index.ts';
import type { RaceStep } from '../../syscalls/race.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { CONVERTS_PLAIN } from '../conversion.ts';
import { IOVA, iommufd, PAGE } from '../dma.ts';
import { Race, type Racer } from '../race.ts';
import { convert, type Pages, somePages, someRanges } from '../race-steps.ts';

const ALL: Pages = { first: 0, count: 8 };
const SIZE = ALL.count * PAGE_SIZE;
const RETRY = { retry: { attempts: 1000, delayMs: 1 } };
const FLAGS = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE;

const iovaOf = (page: number): bigint => IOVA + BigInt(page) * PAGE;

interface Space {
  readonly fd: number;
  readonly ioas: number;
}

function mapStep({ fd, ioas }: Space, address: bigint, page: number): RaceStep {
  const { request, struct } = IOMMU_IOAS_MAP;
  const user_va = address + BigInt(page) * PAGE;
  const values = { flags: FLAGS, ioas_id: ioas, user_va, length: PAGE_SIZE, iova: iovaOf(page) };
  return { call: 'ioctl', fd, request, struct: struct.encode(values) };
}

function unmapStep({ fd, ioas }: Space, page: number): RaceStep {
  const { request, struct } = IOMMU_IOAS_UNMAP;
  return {
    call: 'ioctl',
    fd,
    request,
    struct: struct.encode({ ioas_id: ioas, iova: iovaOf(page), length: PAGE_SIZE }),
  };
}

const dma = defineCase({
  name: 'race_convert_against_dma',
  about:
    'Pages are mapped for a device and unmapped while they are converted: a mapped page is not converted to private ' +
    '(EAGAIN) and a private one is not mapped (EFAULT), so that in the end no private page is mapped.',
  requires: { ...CONVERTS_PLAIN, threads: true, iommufdTest: true, iommuPolicy: 'pin' },
  async run(t) {
    const gmem = await t.gmem(await t.vm(), { size: SIZE, mmap: true, initially: 'shared' });
    const mapping = await t.map(gmem);
    const file = await iommufd(t);
    const ioas = await file.allocIoas();
    const device = await file.test.mockDevice(ioas);
    t.defer(() => device.close());
    const race = new Race(t);
    const { random } = race;
    const space = { fd: file.fd, ioas: ioas.id };
    const maps = (name: string): Racer => ({
      name,
      program: somePages(random, ALL, 32).flatMap(({ first }) => [
        mapStep(space, mapping.address, first),
        unmapStep(space, somePages(random, ALL, 1)[0]!.first),
      ]),
      // EBUSY: what is to be unmapped is being mapped at this moment (iopt_unmap_iova_range()).
      may: ['EFAULT', 'EEXIST', 'ENOENT', 'EBUSY'],
    });
    const converts = (to: 'private' | 'shared'): Racer => ({
      name: `to ${to}`,
      program: [...somePages(random, ALL, 24), ...someRanges(random, ALL, 8)].map((pages) =>
        convert(t, gmem, pages, to),
      ),
      may: to === 'private' ? ['EAGAIN'] : [],
      file: gmem,
    });
    await race.run([maps('device 1'), maps('device 2'), converts('private'), converts('shared')]);
    for (let page = 0; page < ALL.count; page += 1) {
      const isMapped = await ioas.isMapped({ iova: iovaOf(page), length: PAGE_SIZE });
      const isPrivate = !(await mapping.tryRead(page * PAGE_SIZE, 1)).ok;
      t.ok(!(isMapped && isPrivate), `page ${page} is private or mapped, and not both`);
    }
    await ioas.unmapAll();
    t.succeeds(await gmem.tryConvert({ offset: 0, size: SIZE, to: 'private' }, RETRY), 'converting all to private');
  },
});

export const cases: readonly AnyCase[] = [dma];
