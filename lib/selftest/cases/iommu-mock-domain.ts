/** With a mock device attached: memory is pinned, alignment counts, and what was let through before comes to light. */

import {
  type ErrnoName,
  IOMMU_HW_INFO_SELFTEST_REGVAL,
  IOMMU_HW_INFO_TYPE_SELFTEST,
  IOMMU_HWPT_ALLOC,
  iommu_test_hw_info,
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  MOCK_APERTURE_LAST,
  MOCK_APERTURE_START,
  MOCK_PAGE_SIZE,
  PAGE_SIZE,
  PROT_NONE,
  PROT_READ,
} from '../../abi/index.ts';
import type { Ioas, Iommufd, MockDevice } from '../../iommu/index.ts';
import { memfd } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { IOVA, iommufd, memory, PAGE, pattern, rawMap } from '../dma.ts';

const requires = { iommufdTest: true } as const;
const HALF = BigInt(MOCK_PAGE_SIZE);

interface Attached {
  readonly file: Iommufd;
  readonly space: Ioas;
  readonly device: MockDevice;
}

async function attached(t: T): Promise<Attached> {
  const file = await iommufd(t);
  const space = await file.allocIoas();
  return { file, space, device: await file.test.mockDevice(space) };
}

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

const content = defineCase({
  name: 'iommu-domain-content',
  about: 'What a domain maps is the memory that was given: MD_CHECK_MAP compares page by page.',
  requires,
  async run(t) {
    const { file, space, device } = await attached(t);
    const mapping = await memory(t, 4);
    await mapping.fill(0, 4 * PAGE_SIZE, 1);
    await space.map({ address: mapping, iova: IOVA });
    const check = (iova: bigint, address: bigint) =>
      file.test.tryCheckMap(device.hwptId, { iova, length: 2n * PAGE }, address);
    t.succeeds(await check(IOVA, mapping.address), 'at the start');
    t.succeeds(await check(IOVA + PAGE, mapping.address + PAGE), 'one page on');
    t.fails(await check(IOVA, mapping.address + PAGE), 'EINVAL', 'against the next page');
    await space.unmap({ iova: IOVA, length: 4n * PAGE });
    t.fails(await check(IOVA, mapping.address), 'EINVAL', 'after it was unmapped');
  },
});

const pinned = defineCase({
  name: 'iommu-domain-pins',
  about: 'Each map of a page pins it once while a device is there, a copy not again (MD_CHECK_REFS).',
  requires,
  async run(t) {
    const { file, space, device } = await attached(t);
    const mapping = await memory(t, 2);
    await mapping.fill(0, 2 * PAGE_SIZE, 1);
    const refs = (count: number) => file.test.tryCheckRefs(device.hwptId, mapping.address, 2 * PAGE_SIZE, count);
    t.succeeds(await refs(0), 'pins at first');
    await space.map({ address: mapping, iova: IOVA });
    t.succeeds(await refs(1), 'pins of one map');
    await space.map({ address: mapping, iova: 2n * IOVA });
    t.succeeds(await refs(2), 'pins of two maps');
    await space.copy({ sourceIova: IOVA, length: 2n * PAGE, iova: 3n * IOVA });
    t.succeeds(await refs(2), 'pins of two maps and a copy');
    await space.unmap({ iova: IOVA, length: 2n * PAGE });
    t.succeeds(await refs(2), 'pins after the copied one was unmapped');
    await device.close();
    t.succeeds(await refs(0), 'pins after the device went');
  },
});

const badMemory = defineCase<'nothing' | 'none' | 'read-only'>({
  name: 'iommu-domain-bad-memory',
  about: 'Memory that cannot be pinned is EFAULT: at the map with a device, at the attach without.',
  requires,
  variants: { 'nothing-there': 'nothing', 'prot-none': 'none', 'read-only-for-writing': 'read-only' },
  async run(t, kind) {
    const prot = kind === 'none' ? PROT_NONE : PROT_READ;
    const { syscalls } = t.host.raw;
    const address = await syscalls.mmap(PAGE_SIZE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0n);
    t.defer(() => syscalls.munmap(address, PAGE_SIZE));
    const user_va = kind === 'nothing' ? 0x1000n : address;
    const { file, space } = await attached(t);
    t.fails(await rawMap(t, space, file, { user_va, length: PAGE, iova: IOVA }), 'EFAULT', 'mapping with a device');
    const later = await file.allocIoas();
    t.succeeds(await rawMap(t, later, file, { user_va, length: PAGE, iova: IOVA }), 'mapping without a device');
    t.fails(await file.test.tryMockDevice(later), 'EFAULT', 'attaching');
    t.equal((await later.iovaRanges()).alignment, 1n, 'the alignment after the attach that failed');
    t.equal(await later.unmapAll(), PAGE, 'bytes mapped after the attach that failed');
  },
});

type FileKind = 'memfd' | 'past-the-end' | 'misaligned' | 'iommufd' | 'shared' | 'private';

const files = defineCase<{ kind: FileKind; code?: ErrnoName }>({
  name: 'iommu-domain-files',
  about: 'By file only memory files can be mapped, whole pages of them; a guest_memfd is EINVAL (memfd_pin_folios()).',
  requires: ({ kind }) =>
    kind === 'shared' || kind === 'private'
      ? { ...requires, flags: ['init-shared'], profile: ['linux-7.3'] }
      : requires,
  variants: {
    memfd: { kind: 'memfd' },
    'past-the-end': { kind: 'past-the-end', code: 'EINVAL' },
    'start-not-aligned': { kind: 'misaligned', code: 'EINVAL' },
    'the-iommufd-itself': { kind: 'iommufd', code: 'EINVAL' },
    'shared-guest-memfd': { kind: 'shared', code: 'EINVAL' },
    'private-guest-memfd': { kind: 'private', code: 'EINVAL' },
  },
  async run(t, { kind, code }) {
    const { file: on, space } = await attached(t);
    const guest = async () => {
      const initially = kind === 'shared' ? 'shared' : 'private';
      return (await t.gmem(await t.vm(), { size: 2 * PAGE_SIZE, mmap: true, initially })).fd;
    };
    const isGuest = kind === 'shared' || kind === 'private';
    const file = isGuest ? await guest() : kind === 'iommufd' ? on.fd : await memfd(t, PAGE_SIZE);
    const start = kind === 'past-the-end' ? PAGE : kind === 'misaligned' ? 1n : 0n;
    const piece = { file, start, length: PAGE, iova: IOVA };
    const attempt = await space.tryMapFile(piece);
    if (!code) {
      t.succeeds(attempt, 'mapping with a device');
      return;
    }
    t.fails(attempt, code, 'mapping with a device');
    const later = await on.allocIoas();
    t.succeeds(await later.tryMapFile(piece), 'mapping without a device');
    t.fails(await on.test.tryMockDevice(later), kind === 'misaligned' ? ['EINVAL', 'EADDRINUSE'] : code, 'attaching');
  },
});

const guestByAddress = defineCase<'shared' | 'private'>({
  name: 'iommu-domain-guest-memory',
  about: 'Guest memory is mapped by its address where it is shared; where it is private the address is EFAULT.',
  requires: { ...requires, flags: ['init-shared'], profile: ['linux-7.3'] },
  variants: { shared: 'shared', private: 'private' },
  async run(t, initially) {
    const { file, space, device } = await attached(t);
    const gmem = await t.gmem(await t.vm(), { size: 2 * PAGE_SIZE, mmap: true, initially });
    const mapping = await t.map(gmem);
    const attempt = await space.tryMap({ address: mapping, iova: IOVA });
    if (initially === 'private') {
      t.fails(attempt, 'EFAULT', 'mapping');
      return;
    }
    t.succeeds(attempt, 'mapping');
    const check = () => file.test.tryCheckMap(device.hwptId, { iova: IOVA, length: 2n * PAGE }, mapping.address);
    t.succeeds(await check(), 'the pages');
    t.succeeds(await gmem.tryPunchHole({ offset: 0, size: 2 * PAGE_SIZE }), 'punching a hole under the map');
    await mapping.fill(0, 2 * PAGE_SIZE, 1);
    t.fails(await check(), 'EINVAL', 'the pages afterwards, which are new ones');
    await space.unmapAll();
    await space.map({ address: mapping, iova: IOVA });
    t.succeeds(await check(), 'the pages after mapping anew');
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

const hwInfo = defineCase({
  name: 'iommu-hw-info',
  about: 'IOMMU_GET_HW_INFO tells what a device’s IOMMU is; a device that is not there is ENOENT.',
  requires,
  async run(t) {
    const { file, device } = await attached(t);
    const { type, data } = await file.hwInfo(device);
    t.equal(type, IOMMU_HW_INFO_TYPE_SELFTEST, 'the type');
    t.equal(iommu_test_hw_info.decode(data).test_reg, IOMMU_HW_INFO_SELFTEST_REGVAL, 'its register');
    t.fails(await file.tryHwInfo(9999), 'ENOENT', 'asking of a device that is not there');
  },
});

const hwpt = defineCase({
  name: 'iommu-hwpt-alloc',
  about: 'IOMMU_HWPT_ALLOC: a device that is not there is ENOENT, an address space that is not there EINVAL.',
  requires,
  async run(t) {
    const { file, space, device } = await attached(t);
    const ask = (values: object) => t.host.raw.tryIoctl(file, IOMMU_HWPT_ALLOC, values);
    t.fails(await ask({ dev_id: 9999, pt_id: space.id }), 'ENOENT', 'for a device that is not there');
    t.fails(await ask({ dev_id: device.deviceId, pt_id: 9999 }), 'EINVAL', 'on an address space that is not there');
    t.fails(
      await ask({ dev_id: device.deviceId, pt_id: space.id, flags: 1 << 20 }),
      'EOPNOTSUPP',
      'with unknown flags',
    );
    t.fails(await ask({ dev_id: device.deviceId, pt_id: space.id, data_len: 8 }), 'EINVAL', 'with data of no type');
    const made = t.succeeds(await file.tryAllocHwpt({ device, on: space }), 'making one');
    t.fails(await space.tryClose(), 'EBUSY', 'destroying the address space');
    t.succeeds(await made.tryClose(), 'destroying it');
  },
});

const dirty = defineCase({
  name: 'iommu-dirty-pages',
  about: 'A page table with dirty tracking tells which pages were written to, and forgets it when asked (or not).',
  requires,
  async run(t) {
    const { file, space, device } = await attached(t);
    const plain = t.succeeds(await file.tryAllocHwpt({ device, on: space }), 'making one without');
    t.fails(await plain.trySetDirtyTracking(true), 'EOPNOTSUPP', 'tracking on it');
    const table = t.succeeds(await file.tryAllocHwpt({ device, on: space, dirtyTracking: true }), 'making one with');
    const tracked = await file.test.mockDevice(table);
    const mapping = await memory(t, 16);
    // Pages that lie together by chance would share an entry, and with it the mark.
    await space.setHugePages(false);
    await space.map({ address: mapping, iova: IOVA });
    t.succeeds(await table.trySetDirtyTracking(true), 'tracking');
    const range = { iova: IOVA, length: 16n * PAGE };
    const bits = new Uint8Array(8);
    bits[0] = 0b0000_0101;
    bits[1] = 0b1000_0000;
    const written = await file.test.tryDirty(tracked.hwptId, range, PAGE_SIZE, bits);
    t.equal(t.succeeds(written, 'writing'), 3n, 'pages written to');
    const pages = async (clear: boolean) => (await table.dirtyBitmap({ ...range, clear })).dirty;
    t.equal(await pages(false), [0, 2, 15], 'the dirty pages');
    t.equal(await pages(true), [0, 2, 15], 'the dirty pages, asked again');
    t.equal(await pages(true), [], 'the dirty pages after they were cleared');
    t.succeeds(await table.trySetDirtyTracking(false), 'tracking no more');
  },
});

const access = defineCase({
  name: 'iommu-access',
  about: 'What the kernel itself reads and writes through an address space is the memory that is mapped there.',
  requires,
  async run(t) {
    const file = await iommufd(t);
    const space = await file.allocIoas();
    const mapping = await memory(t, 2);
    const reader = await file.test.access(space);
    t.defer(() => reader.close());
    const bytes = pattern(100, 7);
    const at = IOVA + PAGE - 50n;
    t.fails(await reader.tryRead(at, new Uint8Array(100)), 'ENOENT', 'reading where nothing is mapped');
    await space.map({ address: mapping, iova: IOVA });
    await mapping.write(PAGE_SIZE - 50, bytes);
    const got = new Uint8Array(100);
    t.succeeds(await reader.tryRead(at, got), 'reading over the border of two pages');
    t.equal(got, bytes, 'what was read');
    t.succeeds(await reader.tryWrite(IOVA, bytes), 'writing');
    t.equal(await mapping.read(0, 100), bytes, 'what was written');
    await space.unmapAll();
    await space.map({ address: mapping, iova: IOVA, writeable: false });
    t.fails(await reader.tryWrite(IOVA, bytes), 'EPERM', 'writing where only reading is mapped');
  },
});

const stale = defineCase<'unmapped' | 'closed' | 'truncated'>({
  name: 'iommu-domain-keeps-pages',
  about: 'Unmapping or truncating memory, or closing its file, takes nothing from a device: its pages stay pinned.',
  requires,
  variants: { 'memory-unmapped': 'unmapped', 'file-closed': 'closed', 'file-truncated': 'truncated' },
  async run(t, how) {
    const { space } = await attached(t);
    const { syscalls } = t.host.raw;
    if (how === 'unmapped') {
      const mapping = await t.host.memory({ size: PAGE_SIZE });
      await space.map({ address: mapping, iova: IOVA });
      t.succeeds(await mapping.close().then(() => ({ ok: true }) as const), 'unmapping the memory');
    } else {
      const fd = await memfd(t, PAGE_SIZE);
      await space.mapFile({ file: fd, length: PAGE, iova: IOVA });
      const copy = how === 'closed' ? await syscalls.dup(fd) : fd;
      const done = how === 'closed' ? await syscalls.close(copy) : await syscalls.ftruncate(fd, 0n);
      t.equal(done, 0, how === 'closed' ? 'closing the file' : 'truncating the file');
    }
    t.equal(
      t.succeeds(await space.tryUnmap({ iova: IOVA, length: PAGE }), 'unmapping for the device'),
      PAGE,
      'bytes unmapped',
    );
  },
});

export const cases: readonly AnyCase[] = [
  ranges,
  alignment,
  content,
  pinned,
  badMemory,
  files,
  guestByAddress,
  attachLate,
  allowWithDevice,
  busy,
  two,
  replace,
  hwInfo,
  hwpt,
  dirty,
  access,
  stale,
];
