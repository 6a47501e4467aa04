import { expect, test } from 'vitest';
import { KVM_GMEM_CONVERT_PRIVATE } from '../../lib/abi/index.ts';
import { openHost } from '../../lib/index.ts';

test('the sample of the documentation compiles, and does what it says', async () => {
  await using host = await openHost({ backend: 'mock', kernel: 'rfc-v2', platform: 'software-protected' });

  const vm = await host.createVm({ type: 'sw-protected' });
  const gmem = await vm.createGuestMemfd({ size: 0x400000, mmap: true, initially: 'shared' });
  const map = await gmem.map({ offset: 0, size: 0x400000 });
  await vm.setMemoryRegion({
    slot: 0,
    guestPhysAddr: 0x1_0000_0000n,
    size: 0x400000,
    gmem,
    gmemOffset: 0,
    userspaceAddr: map,
  });
  await map.write(0, Uint8Array.of(1, 2, 3));
  expect(await map.read(0, 3)).toEqual(Uint8Array.of(1, 2, 3));

  await gmem.convert({ offset: 0, size: 0x200000, to: 'private' });
  await expect(map.read(0, 16)).rejects.toMatchObject({ code: 'EFAULT' });
  await gmem.punchHole({ offset: 0, size: 4096 });
  await gmem.allocate({ offset: 0, size: 4096 });

  using _pin = host.mock?.pin(gmem.fd, 0x201000, 4096);
  const result = await gmem.tryConvert({ offset: 0x200000, size: 0x200000, to: 'private' });
  expect(result).toMatchObject({ ok: false, code: 'EAGAIN', errno: -11, errorOffset: 0x201000n });

  await expect(
    host.raw.ioctl(gmem.fd, KVM_GMEM_CONVERT_PRIVATE, { offset: 1n, size: 0n, error_offset: 7n }),
  ).rejects.toMatchObject({ code: 'EINVAL' });
});
