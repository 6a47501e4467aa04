/** With a mock device attached: what it reaches counts, and what was let through before comes to light. */

import { type ErrnoName, MOCK_APERTURE_LAST, MOCK_APERTURE_START, MOCK_PAGE_SIZE, PAGE_SIZE } from '../../abi/index.ts';
import type { MockDevice } from '../../iommu/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { attached, IOVA, iommufd, memory, PAGE, rawMap } from '../dma.ts';

const requires = { iommufdTest: true } as const;
const HALF = BigInt(MOCK_PAGE_SIZE);

const ranges = defineCase({
  name: 'iommu-domain-ranges',
  about: 'A device brings its aperture and its page size, and takes them along when it goes.',
  requires,
  async run(t) {
    const { space, device } = await attached(t);
    const seen = { ranges: [{ start: MOCK_APERTURE_START, last: MOCK_APERTURE_LAST }], alignment: HALF };
    t.equal(await space.iovaRanges(), seen, 'the ranges with a device');
    await device.close();
    t.equal((await space.iovaRanges()).alignment, 1n, 'the alignment without');
  },
});

const alignment = defineCase<{ user_va?: bigint; length?: bigint; iova?: bigint; code?: ErrnoName }>({
  name: 'iommu-domain-alignment',
  about: 'iova, length and the place in the page must be multiples of the smallest page, here half a CPU’s.',
  requires,
  variants: {
    'half-pages': { user_va: HALF, length: HALF, iova: IOVA + HALF },
    'odd-length': { length: HALF - 1n, code: 'EINVAL' },
    'odd-iova': { iova: IOVA + 1n, code: 'EINVAL' },
    'odd-address': { user_va: 1n, code: 'EINVAL' },
    'below-the-aperture': { iova: MOCK_APERTURE_START - PAGE, code: 'EINVAL' },
    'past-the-aperture': { iova: MOCK_APERTURE_LAST + 1n, code: 'EINVAL' },
    'over-the-end-of-the-aperture': { iova: MOCK_APERTURE_LAST + 1n - HALF, length: PAGE, code: 'EINVAL' },
  },
  async run(t, { user_va = 0n, length = PAGE, iova = IOVA, code }) {
    const { file, space } = await attached(t);
    const mapping = await memory(t, 2);
    const attempt = await rawMap(t, space, file, { user_va: mapping.address + user_va, length, iova });
    if (code) t.fails(attempt, code, 'mapping');
    else t.succeeds(attempt, 'mapping');
  },
});

const attachLate = defineCase<'misaligned' | 'outside' | 'allowed-outside'>({
  name: 'iommu-domain-attach-misfit',
  about: 'What a device cannot reach keeps it out: EADDRINUSE, and the address space is as before.',
  requires,
  variants: { misaligned: 'misaligned', 'outside-the-aperture': 'outside', 'allowed-outside': 'allowed-outside' },
  async run(t, kind) {
    const file = await iommufd(t);
    const space = await file.allocIoas();
    const mapping = await memory(t, 1);
    if (kind === 'allowed-outside') await space.allowIovas([{ start: 0n, last: 0xfffn }]);
    else {
      const iova = kind === 'outside' ? 0n : IOVA + 1n;
      t.succeeds(await rawMap(t, space, file, { user_va: mapping.address, length: PAGE, iova }), 'mapping');
    }
    t.fails(await file.test.tryMockDevice(space), 'EADDRINUSE', 'attaching');
    t.equal((await space.iovaRanges()).alignment, 1n, 'the alignment afterwards');
    await space.unmapAll();
    await space.allowIovas([]);
    t.succeeds(await file.test.tryMockDevice(space), 'attaching when it is gone');
  },
});

const allowWithDevice = defineCase({
  name: 'iommu-domain-allow',
  about: 'With a device attached only what it reaches can be allowed.',
  requires,
  async run(t) {
    const { space } = await attached(t);
    t.fails(await space.tryAllowIovas([{ start: 0n, last: 0xfffn }]), 'EADDRINUSE', 'allowing what is out of reach');
    t.succeeds(await space.tryAllowIovas([{ start: IOVA, last: IOVA + 0xfffn }]), 'allowing what is within');
  },
});

const busy = defineCase({
  name: 'iommu-domain-busy',
  about:
    'What is in use is not destroyed; the page table of an attach goes with the device, other than one of one’s own.',
  requires,
  async run(t) {
    const { file, space, device } = await attached(t);
    t.fails(await space.tryClose(), 'EBUSY', 'destroying the address space');
    t.equal(space.closed, false, 'whether it is closed');
    t.fails(await file.tryDestroy(device.hwptId), 'EBUSY', 'destroying the page table');
    t.fails(await file.tryDestroy(device.deviceId), 'EBUSY', 'destroying the device');
    const mapping = await memory(t, 1);
    t.succeeds(await space.tryMap({ address: mapping, iova: IOVA }), 'mapping after that');
    const { hwptId } = device;
    await device.close();
    t.fails(await file.tryDestroy(hwptId), 'ENOENT', 'destroying the page table after the device went');
    t.succeeds(await space.tryClose(), 'destroying the address space with something mapped');
  },
});

const two = defineCase({
  name: 'iommu-two-domains',
  about:
    'Two devices on one address space have a page table each, and see the same; the second one finds it populated.',
  requires,
  async run(t) {
    const { file, space, device } = await attached(t);
    const mapping = await memory(t, 4);
    await mapping.fill(0, 4 * PAGE_SIZE, 1);
    await space.map({ address: mapping, iova: IOVA });
    const second = await file.test.mockDevice(space);
    const check = (of: MockDevice) =>
      file.test.tryCheckMap(of.hwptId, { iova: IOVA, length: 4n * PAGE }, mapping.address);
    for (const [name, of] of [
      ['first', device],
      ['second', second],
    ] as const)
      t.succeeds(await check(of), `the ${name}`);
    t.succeeds(await file.test.tryCheckRefs(device.hwptId, mapping.address, 4 * PAGE_SIZE, 1), 'pins for both');
    await device.close();
    t.succeeds(await check(second), 'the second after the first went');
    t.equal(await space.unmap({ iova: IOVA, length: 4n * PAGE }), 4n * PAGE, 'bytes unmapped');
    t.fails(await check(second), 'EINVAL', 'the second after that');
  },
});

const replace = defineCase({
  name: 'iommu-domain-replace',
  about:
    'A device changes from one address space to another in one step; one that it cannot have leaves it where it was.',
  requires,
  async run(t) {
    const { file, space, device } = await attached(t);
    const [other, unfit] = [await file.allocIoas(), await file.allocIoas()];
    const mapping = await memory(t, 1);
    await rawMap(t, unfit, file, { user_va: mapping.address, length: PAGE, iova: 0n });
    t.fails(await device.tryReplace(unfit), 'EADDRINUSE', 'changing to one that does not fit');
    t.fails(await space.tryClose(), 'EBUSY', 'destroying the one it is on');
    t.succeeds(await device.tryReplace(other), 'changing to one that does');
    t.succeeds(await space.tryClose(), 'destroying the one it was on');
  },
});

export const cases: readonly AnyCase[] = [ranges, alignment, attachLate, allowWithDevice, busy, two, replace];
