import { describe, expect, test } from 'vitest';
import { PROT_EXEC, PROT_READ } from '../../lib/abi/index.ts';
import { openHost } from '../../lib/kvm/index.ts';
import { convertibleType, kernels, mocks, openWatched, titleOf } from '../host/support/hosts.ts';

const PAGE = 0x1000;
const SIZE = 4 * PAGE;

for (const kernel of kernels) {
  describe.skipIf(kernel.missing !== undefined)(`mapping: ${titleOf(kernel)}`, () => {
    const shared = async () => {
      const host = await openHost(kernel.options);
      const vm = await host.createVm();
      const gmem = await vm.createGuestMemfd({ size: SIZE, mmap: true, initially: 'shared' });
      return { host, gmem, [Symbol.asyncDispose]: () => host.close() };
    };

    test('reads zeroes first, then what was written, byte for byte', async () => {
      await using s = await shared();
      const map = await s.gmem.map();
      expect(map).toMatchObject({ size: SIZE, fileOffset: 0n });
      expect(await map.read(0, SIZE)).toEqual(new Uint8Array(SIZE));
      const bytes = Uint8Array.from({ length: PAGE + 13 }, (_, i) => i % 251);
      await map.write(PAGE - 5, bytes);
      expect(await map.read(PAGE - 5, bytes.length)).toEqual(bytes);
      expect(await map.read(SIZE - 1, 1)).toEqual(Uint8Array.of(0));
    });

    test('fills', async () => {
      await using s = await shared();
      const map = await s.gmem.map();
      await map.fill(1, SIZE - 2, 0xaa);
      const bytes = await map.read(0, SIZE);
      expect([bytes[0], bytes[1], bytes[SIZE - 2], bytes[SIZE - 1]]).toEqual([0, 0xaa, 0xaa, 0]);
    });

    test('of a part shows that part', async () => {
      await using s = await shared();
      const [whole, part] = [await s.gmem.map(), await s.gmem.map({ offset: 2 * PAGE, size: PAGE })];
      await whole.write(2 * PAGE, Uint8Array.of(9));
      expect(part).toMatchObject({ size: PAGE, fileOffset: 0x2000n });
      expect(await part.read(0, 1)).toEqual(Uint8Array.of(9));
      const rest = await s.gmem.map({ offset: PAGE });
      expect(rest.size).toBe(SIZE - PAGE);
    });

    test('past the end of the file: stops at the page, and says so', async () => {
      await using s = await shared();
      const map = await s.gmem.map({ offset: 2 * PAGE, size: 4 * PAGE });
      const result = await map.tryRead(PAGE + 8, 3 * PAGE - 8);
      expect(result).toMatchObject({ ok: false, code: 'EFAULT', errno: -14, error: { completed: PAGE - 8 } });
      expect(!result.ok && result.error.message).toContain(
        'the page at 0x2000 of the mapping (file offset 0x4000) is past the end of the file, which has 0x4000 bytes',
      );
    });

    test('read-only: cannot be written, can be read', async () => {
      await using s = await shared();
      const map = await s.gmem.map({ prot: PROT_READ });
      expect(await map.tryWrite(0, Uint8Array.of(1))).toMatchObject({ ok: false, code: 'EFAULT' });
      expect(await map.read(0, 1)).toEqual(Uint8Array.of(0));
    });

    test('is never executable', async () => {
      await using s = await shared();
      expect(await s.gmem.tryMap({ prot: PROT_READ | PROT_EXEC })).toMatchObject({ ok: false, code: 'EPERM' });
    });

    test('outlives its file descriptor', async () => {
      await using s = await shared();
      const map = await s.gmem.map();
      await map.write(0, Uint8Array.of(5));
      await s.gmem.close();
      expect(await map.read(0, 1)).toEqual(Uint8Array.of(5));
    });

    test('punched pages read as zeroes, allocated ones too', async () => {
      await using s = await shared();
      const map = await s.gmem.map();
      await map.fill(0, SIZE, 0x55);
      await s.gmem.punchHole({ offset: PAGE, size: 2 * PAGE });
      await s.gmem.allocate({ offset: PAGE, size: PAGE });
      const bytes = await map.read(0, SIZE);
      expect([0, PAGE, 2 * PAGE, 3 * PAGE].map((at) => bytes[at])).toEqual([0x55, 0, 0, 0x55]);
    });

    test('a hole past the end is fine, an allocation there is EINVAL', async () => {
      await using s = await shared();
      await s.gmem.punchHole({ offset: SIZE, size: PAGE });
      expect(await s.gmem.tryAllocate({ offset: SIZE, size: PAGE })).toMatchObject({ ok: false, code: 'EINVAL' });
      await expect(s.gmem.allocate({ offset: SIZE, size: PAGE })).rejects.toMatchObject({ syscall: 'fallocate' });
    });

    test('a duplicate is the same file', async () => {
      await using s = await shared();
      const copy = await s.gmem.dup();
      expect(copy.fd).not.toBe(s.gmem.fd);
      expect((await copy.stat()).ino).toBe((await s.gmem.stat()).ino);
      expect(copy).toMatchObject({ size: s.gmem.size, flags: s.gmem.flags, initially: 'shared' });
      const [one, other] = [await s.gmem.map(), await copy.map()];
      await one.write(0, Uint8Array.of(3));
      await s.gmem.close();
      expect(await other.read(0, 1)).toEqual(Uint8Array.of(3));
    });
  });
}

describe('a private page in the middle', () => {
  const inPlace = mocks.filter(({ dialect }) => dialect === 'rfc-convert' || dialect === 'attributes2');
  for (const { name, options } of inPlace) {
    const setUp = async () => {
      const host = await openHost(options);
      const vm = await host.createVm({ type: convertibleType(host) });
      const gmem = await vm.createGuestMemfd({ size: SIZE, mmap: true, initially: 'shared' });
      const map = await gmem.map({ offset: PAGE });
      await gmem.convert({ offset: 2 * PAGE, size: PAGE, to: 'private' });
      return { map, [Symbol.asyncDispose]: () => host.close() };
    };

    test(`stops read, write and fill there, which say how far they came (${name})`, async () => {
      await using s = await setUp();
      const message = /the page at 0x1000 of the mapping \(file offset 0x2000\) cannot be touched: it is private/;
      const results = [
        await s.map.tryRead(6, 2 * PAGE),
        await s.map.tryWrite(6, new Uint8Array(2 * PAGE).fill(1)),
        await s.map.tryFill(6, 2 * PAGE, 1),
      ];
      for (const result of results) {
        expect(result).toMatchObject({ ok: false, code: 'EFAULT', error: { completed: PAGE - 6 } });
        expect(!result.ok && result.error.message).toMatch(message);
      }
      expect(await s.map.read(PAGE - 1, 1)).toEqual(Uint8Array.of(1));
      expect(await s.map.read(2 * PAGE, 1)).toEqual(Uint8Array.of(0));
    });

    test(`refuses at once when it is the first (${name})`, async () => {
      await using s = await setUp();
      await expect(s.map.read(PAGE + 9, 1)).rejects.toMatchObject({ code: 'EFAULT', completed: 0 });
    });
  }
});

test('fill() copies large ranges in pieces, and counts what all of them did', async () => {
  const size = 3 << 20;
  await using watched = await openWatched({ kernel: 'rfc-v2' });
  const gmem = await (await watched.host.createVm()).createGuestMemfd({ size, mmap: true, initially: 'shared' });
  const map = await gmem.map();
  await map.fill(0, size, 1);
  const lengths = watched.calls
    .filter(({ name }) => name === 'copyIn')
    .map(({ args }) => (args[1] as Uint8Array).length);
  expect(lengths).toEqual([1 << 20, 1 << 20, 1 << 20]);
  await map.fill(7, (1 << 20) + 1, 3);
  const around = await Promise.all([6, 7, (1 << 20) + 7, (1 << 20) + 8].map((at) => map.read(at, 1)));
  expect(around.map(([byte]) => byte)).toEqual([1, 3, 3, 1]);
  await gmem.convert({ offset: 2 << 20, size: PAGE, to: 'private' });
  expect(await map.tryFill(10, size - 10, 2)).toMatchObject({ ok: false, error: { completed: (2 << 20) - 10 } });
});
