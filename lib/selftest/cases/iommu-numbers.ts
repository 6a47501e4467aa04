/** Sizes, numbers and ids: what iommufd looks at before it looks at a request. */

import {
  type ErrnoName,
  IOMMU_DESTROY,
  IOMMU_HWPT_ALLOC,
  IOMMU_IOAS_ALLOC,
  IOMMU_IOAS_COPY,
  IOMMU_IOAS_MAP,
  IOMMU_IOAS_UNMAP,
  IOMMU_OPTION,
  PAGE_SIZE,
} from '../../abi/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { iommufd } from '../dma.ts';

const requires = { iommufd: true } as const;

/** IOMMU_IOAS_ALLOC's struct with this size, and one more byte behind it. */
function alloc(size: number, tail = 0): Uint8Array {
  const bytes = new Uint8Array(Math.max(size, IOMMU_IOAS_ALLOC.struct.size) + 1);
  new DataView(bytes.buffer).setUint32(0, size, true);
  if (tail !== 0) bytes[size - 1] = tail;
  return bytes;
}

const sizes = defineCase<{ size: number; tail?: number; code?: ErrnoName }>({
  name: 'iommu-size',
  about:
    'The leading size: too small is EINVAL, and what is more than the kernel knows E2BIG unless it is zero, however ' +
    'much it is (iommufd_fops_ioctl(), copy_struct_from_user()).',
  requires,
  variants: {
    zero: { size: 0, code: 'EINVAL' },
    'smaller-than-the-struct': { size: 11, code: 'EINVAL' },
    exact: { size: 12 },
    'with-a-zero-tail': { size: 20 },
    'with-a-tail': { size: 20, tail: 1, code: 'E2BIG' },
    'a-page-of-zeroes': { size: PAGE_SIZE },
    'more-than-a-page-of-zeroes': { size: PAGE_SIZE + 1 },
    'more-than-a-page': { size: PAGE_SIZE + 1, tail: 1, code: 'E2BIG' },
  },
  async run(t, { size, tail, code }) {
    const file = await iommufd(t);
    const bytes = alloc(size, tail);
    const answer = await t.host.raw.tryIoctl(file, IOMMU_IOAS_ALLOC.request, bytes);
    const id = new DataView(bytes.buffer).getUint32(8, true);
    if (code) {
      t.fails(answer, code, 'allocating');
      t.equal(id, 0, 'the id in the struct');
    } else {
      t.succeeds(answer, 'allocating');
      t.equal(id, 1, 'the id in the struct');
    }
  },
});

const grown = defineCase({
  name: 'iommu-size-of-an-older-struct',
  about: 'A struct that has grown is taken as it was: what is missing counts as zero (HWPT_ALLOC: 24 of 48 bytes).',
  requires,
  async run(t) {
    const file = await iommufd(t);
    for (const size of [23, IOMMU_HWPT_ALLOC.struct.minimum]) {
      const answer = await t.host.raw.tryIoctl(file, IOMMU_HWPT_ALLOC, { size, dev_id: 9999 });
      t.fails(answer, size === 23 ? 'EINVAL' : 'ENOENT', `allocating a page table with ${size} bytes`);
    }
  },
});

/** Same type and nr, another encoding; and numbers between the last known one and the end. */
const UNKNOWN = {
  'as-iowr': 0xc008_3b80,
  'a-hole': 0x3b96,
  'past-the-end': 0x3bff,
  'below-all': 0x3b63,
} as const;

const unknown = defineCase<number>({
  name: 'iommu-unknown-number',
  about: 'A number iommufd does not have is ENOTTY, with a struct that is valid for its neighbours.',
  requires,
  variants: UNKNOWN,
  async run(t, request) {
    const file = await iommufd(t);
    const bytes = new Uint8Array(64);
    new DataView(bytes.buffer).setUint32(0, 64, true);
    t.fails(await t.host.raw.tryIoctl(file, request, bytes), 'ENOTTY', `request 0x${request.toString(16)}`);
  },
});

const nullPointer = defineCase({
  name: 'iommu-null-pointer',
  about: 'Without a struct a known request is EFAULT (iommufd_fops_ioctl() reads the size first).',
  requires,
  async run(t) {
    const file = await iommufd(t);
    for (const { request } of [
      IOMMU_DESTROY,
      IOMMU_IOAS_ALLOC,
      IOMMU_IOAS_MAP,
      IOMMU_IOAS_UNMAP,
      IOMMU_IOAS_COPY,
      IOMMU_OPTION,
    ]) {
      t.fails(await t.host.raw.tryIoctl(file, request, 0), 'EFAULT', `request 0x${request.toString(16)}`);
    }
  },
});

const reserved = defineCase<{
  ioctl: typeof IOMMU_IOAS_ALLOC | typeof IOMMU_IOAS_MAP | typeof IOMMU_IOAS_COPY;
  values: object;
}>({
  name: 'iommu-unknown-flags',
  about: 'Flags that it does not know, and reserved fields that are not zero, are EOPNOTSUPP before anything else.',
  requires,
  variants: {
    alloc: { ioctl: IOMMU_IOAS_ALLOC, values: { flags: 1 } },
    map: { ioctl: IOMMU_IOAS_MAP, values: { flags: 8 } },
    'map-reserved': { ioctl: IOMMU_IOAS_MAP, values: { flags: 7, __reserved: 1 } },
    copy: { ioctl: IOMMU_IOAS_COPY, values: { flags: 8 } },
  },
  async run(t, { ioctl, values }) {
    const file = await iommufd(t);
    t.fails(await t.host.raw.tryIoctl(file, ioctl as typeof IOMMU_IOAS_ALLOC, values), 'EOPNOTSUPP', 'the request');
  },
});

const ids = defineCase({
  name: 'iommu-ids',
  about: 'Ids start at 1 in each open file, and the lowest that is free comes next; ids that are not there are ENOENT.',
  requires,
  async run(t) {
    const [one, other] = [await iommufd(t), await iommufd(t)];
    const spaces = [await one.allocIoas(), await one.allocIoas(), await one.allocIoas()];
    t.equal(
      spaces.map(({ id }) => id),
      [1, 2, 3],
      'the ids of one file',
    );
    t.equal((await other.allocIoas()).id, 1, 'the first id of another');
    await spaces[1]!.close();
    await spaces[0]!.close();
    t.equal((await one.allocIoas()).id, 1, 'the id after 1 and 2 were destroyed');
    t.equal((await one.allocIoas()).id, 2, 'the next');
    for (const id of [0, 9999, 0xffff_ffff]) t.fails(await one.tryDestroy(id), 'ENOENT', `destroying ${id}`);
  },
});

export const cases: readonly AnyCase[] = [sizes, grown, unknown, nullPointer, reserved, ids];
