/** Where something can be mapped, the settings of an iommufd, and its part as a VFIO container without a group. */

import {
  type ErrnoName,
  IOMMU_IOAS_ALLOW_IOVAS,
  IOMMU_IOAS_IOVA_RANGES,
  IOMMU_OPTION,
  IOMMU_OPTION_HUGE_PAGES,
  IOMMU_OPTION_OP_GET,
  IOMMU_OPTION_OP_SET,
  IOMMU_OPTION_RLIMIT_MODE,
  IOMMU_VFIO_IOAS,
  PAGE_SIZE,
  VFIO_IOMMU_DIRTY_PAGES,
  VFIO_SET_IOMMU,
} from '../../abi/index.ts';
import { memfd } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { IOVA, ioas, iommufd, memory, PAGE } from '../dma.ts';

const requires = { iommufd: true } as const;
const U64_MAX = 0xffff_ffff_ffff_ffffn;

const ranges = defineCase({
  name: 'iommu-ranges-without-a-device',
  about:
    'Without a device everything is one range of alignment 1; too small a list is EMSGSIZE and still told how many.',
  requires,
  async run(t) {
    const file = await iommufd(t);
    const space = await ioas(t, file);
    t.equal(await space.iovaRanges(), { ranges: [{ start: 0n, last: U64_MAX }], alignment: 1n }, 'the ranges');
    const ask = { ioas_id: space.id, num_iovas: 0 };
    const none = await t.host.raw.tryIoctl(file, IOMMU_IOAS_IOVA_RANGES, ask);
    t.fails(none, 'EMSGSIZE', 'asking with room for none');
    t.equal([none.out.num_iovas, none.out.out_iova_alignment], [1, 1n], 'the number and the alignment');
    const reserved = { ...ask, __reserved: 1 };
    t.fails(await t.host.raw.tryIoctl(file, IOMMU_IOAS_IOVA_RANGES, reserved), 'EOPNOTSUPP', 'with a reserved field');
    const badPointer = { ...ask, num_iovas: 1, allowed_iovas: 8n };
    t.fails(await t.host.raw.tryIoctl(file, IOMMU_IOAS_IOVA_RANGES, badPointer), 'EFAULT', 'with a bad pointer');
    t.fails(await t.host.raw.tryIoctl(file, IOMMU_IOAS_IOVA_RANGES, { ioas_id: 77 }), 'ENOENT', 'of what is not there');
  },
});

const hugePagesOff = defineCase({
  name: 'iommu-huge-pages',
  about: 'Without huge pages the alignment is the CPU’s page, also where there is no device (IOMMU_OPTION_HUGE_PAGES).',
  requires,
  async run(t) {
    const space = await ioas(t);
    t.equal(await space.hugePages(), true, 'at first');
    await space.setHugePages(false);
    t.equal(await space.hugePages(), false, 'after they were turned off');
    t.equal((await space.iovaRanges()).alignment, PAGE, 'the alignment then');
    await space.setHugePages(true);
    t.equal((await space.iovaRanges()).alignment, 1n, 'the alignment after they were turned on');
  },
});

const allow = defineCase<{ ranges: readonly (readonly [bigint, bigint])[]; code?: ErrnoName }>({
  name: 'iommu-allow',
  about: 'Allowed ranges must not overlap, and have two bytes at least (iommufd_ioas_load_iovas()).',
  requires,
  variants: {
    none: { ranges: [] },
    one: { ranges: [[0x1000n, 0x1fffn]] },
    'two-that-touch': {
      ranges: [
        [0x1000n, 0x1fffn],
        [0x2000n, 0x2fffn],
      ],
    },
    everything: { ranges: [[0n, U64_MAX]] },
    'one-byte': { ranges: [[0x1000n, 0x1000n]], code: 'EINVAL' },
    'the-wrong-way-round': { ranges: [[0x2000n, 0x1000n]], code: 'EINVAL' },
    'two-that-overlap': {
      ranges: [
        [0x1000n, 0x2000n],
        [0x2000n, 0x2fffn],
      ],
      code: 'EINVAL',
    },
    'the-same-twice': {
      ranges: [
        [0x1000n, 0x1fffn],
        [0x1000n, 0x1fffn],
      ],
      code: 'EINVAL',
    },
  },
  async run(t, { ranges: list, code }) {
    const space = await ioas(t);
    const attempt = await space.tryAllowIovas(list.map(([start, last]) => ({ start, last })));
    if (code) t.fails(attempt, code, 'allowing');
    else t.succeeds(attempt, 'allowing');
  },
});

const allowArguments = defineCase({
  name: 'iommu-allow-arguments',
  about: 'IOMMU_IOAS_ALLOW_IOVAS looks at the reserved field, the id and the list, in this order.',
  requires,
  async run(t) {
    const file = await iommufd(t);
    const space = await ioas(t, file);
    const ask = (values: object) => t.host.raw.tryIoctl(file, IOMMU_IOAS_ALLOW_IOVAS, values);
    t.fails(await ask({ ioas_id: 77, __reserved: 1 }), 'EOPNOTSUPP', 'with a reserved field');
    t.fails(await ask({ ioas_id: 77, num_iovas: 1, allowed_iovas: 8n }), 'ENOENT', 'with an id that is not there');
    t.fails(await ask({ ioas_id: space.id, num_iovas: 1, allowed_iovas: 8n }), 'EFAULT', 'with a bad pointer');
  },
});

const options = defineCase<{ values: object; code: ErrnoName }>({
  name: 'iommu-option',
  about: 'What IOMMU_OPTION refuses (iommufd_option(), iommufd_ioas_option()).',
  requires,
  variants: {
    'an-option-there-is-not': { values: { option_id: 2, op: IOMMU_OPTION_OP_GET }, code: 'EOPNOTSUPP' },
    'mode-of-an-object': {
      values: { option_id: IOMMU_OPTION_RLIMIT_MODE, op: IOMMU_OPTION_OP_GET, object_id: 1 },
      code: 'EOPNOTSUPP',
    },
    'mode-by-another-operation': { values: { option_id: IOMMU_OPTION_RLIMIT_MODE, op: 2 }, code: 'EOPNOTSUPP' },
    'huge-pages-of-nothing': {
      values: { option_id: IOMMU_OPTION_HUGE_PAGES, op: IOMMU_OPTION_OP_GET, object_id: 77 },
      code: 'ENOENT',
    },
    'huge-pages-neither-on-nor-off': {
      values: { option_id: IOMMU_OPTION_HUGE_PAGES, op: IOMMU_OPTION_OP_SET, object_id: 1, val64: 2n },
      code: 'EINVAL',
    },
  },
  async run(t, { values, code }) {
    const file = await iommufd(t);
    await file.allocIoas();
    t.fails(await t.host.raw.tryIoctl(file, IOMMU_OPTION, values), code, 'IOMMU_OPTION');
  },
});

const rlimitMode = defineCase({
  name: 'iommu-rlimit-mode',
  about: 'Who is charged for pinned pages can be set before anything is made, with CAP_SYS_RESOURCE.',
  requires,
  async run(t) {
    const file = await iommufd(t);
    t.equal(await file.rlimitMode(), 'user', 'at first');
    const set = await file.trySetRlimitMode('process');
    if (!set.ok) t.fails(set, 'EPERM', 'setting it without CAP_SYS_RESOURCE');
    t.equal(await file.rlimitMode(), set.ok ? 'process' : 'user', 'afterwards');
    await file.allocIoas();
    t.fails(await file.trySetRlimitMode('user'), set.ok ? 'EBUSY' : 'EPERM', 'setting it when something was made');
  },
});

const changeProcess = defineCase<'nothing' | 'file' | 'address'>({
  name: 'iommu-change-process',
  about: 'Only what is mapped by file can be counted for another process (iommufd_ioas_change_process()).',
  requires,
  variants: { 'nothing-mapped': 'nothing', 'mapped-by-file': 'file', 'mapped-by-address': 'address' },
  async run(t, what) {
    const file = await iommufd(t);
    const space = await ioas(t, file);
    if (what === 'file') await space.mapFile({ file: await memfd(t, PAGE_SIZE), length: PAGE, iova: IOVA });
    if (what === 'address') await space.map({ address: await memory(t, 1), iova: IOVA });
    const attempt = await file.tryChangeProcess();
    if (what === 'address') t.fails(attempt, 'EINVAL', 'changing the process');
    else t.succeeds(attempt, 'changing the process');
  },
});

const vfioIoas = defineCase({
  name: 'iommu-vfio-ioas',
  about: 'The address space for VFIO’s own requests is set and cleared, and goes with it (iommufd_vfio_ioas()).',
  requires,
  async run(t) {
    const file = await iommufd(t);
    t.fails(await file.tryVfioIoas(), 'ENODEV', 'asking before one is set');
    t.succeeds(await file.trySetVfioIoas(undefined), 'clearing before one is set');
    const space = await ioas(t, file);
    await file.setVfioIoas(space);
    t.equal(await file.vfioIoas(), space.id, 'the id');
    t.fails(await t.host.raw.tryIoctl(file, IOMMU_VFIO_IOAS, { op: 3 }), 'EOPNOTSUPP', 'another operation');
    t.fails(
      await t.host.raw.tryIoctl(file, IOMMU_VFIO_IOAS, { op: 1, ioas_id: 77 }),
      'ENOENT',
      'setting what is not there',
    );
    await file.setVfioIoas(undefined);
    t.fails(await file.tryVfioIoas(), 'ENODEV', 'asking after it was cleared');
    await file.setVfioIoas(space);
    await space.close();
    t.fails(await file.tryVfioIoas(), 'ENODEV', 'asking after it was destroyed');
  },
});

const compat = defineCase({
  name: 'iommu-vfio-container',
  about: 'An iommufd is a VFIO container as soon as an address space is set for it (iommufd_vfio_ioctl()).',
  requires,
  async run(t) {
    const file = await iommufd(t);
    const container = await file.vfioContainer();
    t.defer(() => container.close());
    t.equal(await container.apiVersion(), 0, 'the version');
    for (const [extension, answer] of [
      ['type1', 1],
      ['type1v2', 1],
      ['unmap-all', 1],
      ['update-vaddr', 0],
      [2, 0],
    ] as const) {
      t.equal(await container.checkExtension(extension), answer, `extension ${extension}`);
    }
    t.fails(await container.tryCheckExtension('dma-cache-coherent'), 'ENODEV', 'coherence without an address space');
    t.fails(await container.trySetIommu('type1v2'), 'ENODEV', 'setting the driver without an address space');
    t.fails(await t.host.raw.tryIoctl(container, VFIO_SET_IOMMU, 7), 'EINVAL', 'setting a driver there is not');
    const piece = { address: await memory(t, 1), iova: IOVA };
    t.fails(await container.tryMapDma(piece), 'ENODEV', 'mapping without an address space');

    const space = await ioas(t, file);
    await file.setVfioIoas(space);
    t.succeeds(await container.trySetIommu('type1v2'), 'setting the driver');
    t.succeeds(await container.trySetIommu('type1v2'), 'setting it again');
    t.succeeds(await container.tryMapDma(piece), 'mapping');
    t.fails(await container.tryMapDma(piece), 'EEXIST', 'mapping again');
    t.equal(await container.unmapDma({ iova: 2n * IOVA, length: PAGE }), 0n, 'bytes unmapped where nothing is');
    t.fails(await t.host.raw.tryIoctl(container, VFIO_IOMMU_DIRTY_PAGES, { flags: 1 }), 'ENOTTY', 'dirty pages');
    t.equal(
      t.succeeds(await space.tryUnmap({ iova: IOVA, length: PAGE }), 'unmapping by iommufd'),
      PAGE,
      'bytes unmapped',
    );
  },
});

export const cases: readonly AnyCase[] = [
  ranges,
  hugePagesOff,
  allow,
  allowArguments,
  options,
  rlimitMode,
  changeProcess,
  vfioIoas,
  compat,
];
