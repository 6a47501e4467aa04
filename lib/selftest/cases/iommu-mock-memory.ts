/** What a mock device's page table has: the memory that was mapped, pinned as long as a device may reach it. */

import { type ErrnoName, MAP_ANONYMOUS, MAP_PRIVATE, PAGE_SIZE, PROT_NONE, PROT_READ } from '../../abi/index.ts';
import { memfd } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { attached, IOVA, memory, PAGE, rawMap } from '../dma.ts';

const requires = { iommufdTest: true } as const;

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

export const cases: readonly AnyCase[] = [content, pinned, badMemory, files, guestByAddress, stale];
