/** IOMMU_IOAS_MAP on an address space that no device sees: next to nothing is checked, and nothing is pinned. */

import {
  type ErrnoName,
  type IOMMU_IOAS_MAP,
  IOMMU_IOAS_MAP_FILE,
  IOMMU_IOAS_MAP_FIXED_IOVA,
  IOMMU_IOAS_MAP_READABLE,
  IOMMU_IOAS_MAP_WRITEABLE,
  type IoctlIn,
  PAGE_SIZE,
} from '../../abi/index.ts';
import { memfd, NO_FD } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { IOVA, ioas, iommufd, memory, PAGE, rawMap } from '../dma.ts';

const requires = { iommufd: true } as const;
const U64_MAX = 0xffff_ffff_ffff_ffffn;
const RW = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE;
const FIXED = IOMMU_IOAS_MAP_FIXED_IOVA;

type Values = IoctlIn<typeof IOMMU_IOAS_MAP>;

/** Valid but for what is said; of two things that are wrong the one checked first must be told. */
const order = defineCase<{ values: Values; code: ErrnoName }>({
  name: 'iommu-map-order',
  about: 'The order in which IOMMU_IOAS_MAP looks at its arguments (iommufd_ioas_map(), iopt_map_user_pages()).',
  requires,
  variants: {
    'flags-before-overflow': { values: { flags: 8, length: U64_MAX }, code: 'EOPNOTSUPP' },
    'reserved-before-overflow': { values: { __reserved: 1, iova: U64_MAX }, code: 'EOPNOTSUPP' },
    'iova-of-all-ones-before-access': { values: { flags: FIXED, iova: U64_MAX }, code: 'EOVERFLOW' },
    'length-of-all-ones-before-access': { values: { flags: FIXED, length: U64_MAX }, code: 'EOVERFLOW' },
    'no-access-before-id': { values: { flags: FIXED, ioas_id: 9999 }, code: 'EINVAL' },
    'id-before-wrap': { values: { ioas_id: 9999, user_va: U64_MAX, length: 2n }, code: 'ENOENT' },
    'id-0': { values: { ioas_id: 0 }, code: 'ENOENT' },
    'address-wraps': { values: { user_va: U64_MAX, length: 2n }, code: 'EOVERFLOW' },
    'length-0': { values: { length: 0n }, code: 'EINVAL' },
    'length-0-where-something-is': { values: { iova: IOVA, length: 0n }, code: 'EINVAL' },
    'iova-wraps': { values: { iova: U64_MAX - 1n, length: PAGE }, code: 'EOVERFLOW' },
    'something-is-there': { values: { iova: IOVA + PAGE - 1n, length: 2n }, code: 'EEXIST' },
  },
  async run(t, { values, code }) {
    const file = await iommufd(t);
    const space = await ioas(t, file);
    const mapping = await memory(t, 2);
    await space.map({ address: mapping, length: PAGE, iova: IOVA });
    const valid = { user_va: mapping.address, length: PAGE, iova: 2n * IOVA };
    t.fails(await rawMap(t, space, file, { ...valid, ...values }), code, 'mapping');
    t.equal(await space.unmapAll(), PAGE, 'bytes mapped afterwards');
  },
});

const anything = defineCase<{ user_va: bigint | 'here'; length: bigint; iova: bigint }>({
  name: 'iommu-map-without-a-device',
  about: 'With no device attached an address that has no memory maps as any other, at any alignment.',
  requires,
  variants: {
    'no-memory-there': { user_va: 0x1000n, length: PAGE, iova: IOVA },
    'odd-bytes': { user_va: 7n, length: 5n, iova: 3n },
    'iova-0': { user_va: 'here', length: PAGE, iova: 0n },
    'the-last-page': { user_va: 'here', length: PAGE, iova: U64_MAX - PAGE + 1n },
    'one-byte': { user_va: 'here', length: 1n, iova: IOVA + 1n },
  },
  async run(t, { user_va, length, iova }) {
    const file = await iommufd(t);
    const space = await ioas(t, file);
    const mapping = await memory(t, 1);
    const address = user_va === 'here' ? mapping.address : user_va;
    t.succeeds(await rawMap(t, space, file, { user_va: address, length, iova }), 'mapping');
    t.equal(t.succeeds(await space.tryUnmap({ iova, length }), 'unmapping'), length, 'bytes unmapped');
  },
});

const automatic = defineCase({
  name: 'iommu-map-anywhere',
  about:
    'Without a fixed iova the kernel chooses: never 0, with the address’s place in its page, never twice, and only ' +
    'where it is allowed to (iopt_alloc_iova()).',
  requires,
  async run(t) {
    const space = await ioas(t);
    const mapping = await memory(t, 4);
    const first = await space.map({ address: mapping, length: PAGE });
    t.notEqual(first, 0n, 'the first iova');
    const odd = await space.map({ address: mapping, offset: 7, length: PAGE });
    t.equal(odd % PAGE, 7n, 'the low bits of an iova for an address with low bits 7');
    t.notEqual(odd / PAGE, first / PAGE, 'two iovas');
    await space.allowIovas([{ start: 0x10_0000n, last: 0x10_0fffn }]);
    t.equal(await space.map({ address: mapping, length: PAGE }), 0x10_0000n, 'the only iova that is allowed');
    t.fails(await space.tryMap({ address: mapping, length: PAGE }), 'ENOSPC', 'mapping where no room is left');
    t.succeeds(
      await space.tryMap({ address: mapping, length: PAGE, iova: 2n * IOVA }),
      'mapping at a fixed iova elsewhere',
    );
  },
});

const files = defineCase<'memfd' | 'guest-memfd' | 'iommufd' | 'closed'>({
  name: 'iommu-map-file-without-a-device',
  about: 'IOMMU_IOAS_MAP_FILE without a device takes every file there is; only a number that is none is EBADF.',
  requires: (kind) => (kind === 'guest-memfd' ? { ...requires, flags: ['mmap'] } : requires),
  variants: { memfd: 'memfd', 'guest-memfd': 'guest-memfd', 'the-iommufd-itself': 'iommufd', 'no-file': 'closed' },
  async run(t, kind) {
    const on = await iommufd(t);
    const space = await ioas(t, on);
    const make = {
      memfd: () => memfd(t, 2 * PAGE_SIZE),
      'guest-memfd': async () => (await t.gmem(await t.vm(), { size: 2 * PAGE_SIZE, mmap: true })).fd,
      iommufd: async () => on.fd,
      closed: async () => NO_FD,
    };
    const file = await make[kind]();
    // Twice the length of the file, not aligned: that, too, is for later.
    const attempt = await space.tryMapFile({ file, start: 1, length: 4n * PAGE, iova: IOVA });
    if (kind === 'closed') t.fails(attempt, 'EBADF', 'mapping');
    else t.equal(t.succeeds(attempt, 'mapping'), IOVA, 'where it is mapped');
  },
});

const fileOrder = defineCase<{ values: IoctlIn<typeof IOMMU_IOAS_MAP_FILE>; code: ErrnoName }>({
  name: 'iommu-map-file-order',
  about:
    'The order in which IOMMU_IOAS_MAP_FILE looks at its arguments (iommufd_ioas_map_file(), iopt_map_file_pages()).',
  requires,
  variants: {
    'flags-before-file': { values: { flags: 8, fd: NO_FD }, code: 'EOPNOTSUPP' },
    'overflow-before-file': { values: { length: U64_MAX, fd: NO_FD }, code: 'EOVERFLOW' },
    'no-access-before-file': { values: { flags: FIXED, fd: NO_FD }, code: 'EINVAL' },
    'id-before-file': { values: { ioas_id: 9999, fd: NO_FD }, code: 'ENOENT' },
    'length-0-before-file': { values: { length: 0n, fd: NO_FD }, code: 'EINVAL' },
    'wrap-before-file': { values: { start: U64_MAX, length: 2n, fd: NO_FD }, code: 'EOVERFLOW' },
    'file-before-overlap': { values: { iova: IOVA, fd: NO_FD }, code: 'EBADF' },
    'something-is-there': { values: { iova: IOVA }, code: 'EEXIST' },
  },
  async run(t, { values, code }) {
    const on = await iommufd(t);
    const space = await ioas(t, on);
    const fd = await memfd(t, PAGE_SIZE);
    await space.mapFile({ file: fd, length: PAGE, iova: IOVA });
    const valid = { flags: RW | FIXED, ioas_id: space.id, fd, length: PAGE, iova: 2n * IOVA };
    t.fails(await t.host.raw.tryIoctl(on, IOMMU_IOAS_MAP_FILE, { ...valid, ...values }), code, 'mapping');
  },
});

export const cases: readonly AnyCase[] = [order, anything, automatic, files, fileOrder];
