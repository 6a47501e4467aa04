import { expect, test } from 'vitest';
import { GuestRam } from '../../lib/guest-ram/index.ts';
import { openHost } from '../../lib/kvm/index.ts';

const HUGE = 0x20_0000;
const regions = [{ slot: 0, guestPhysAddr: 0x4000_0000n }];

test('huge pages come from the host’s pool, and go back to it', async () => {
  const host = await openHost({ backend: 'mock', kernel: 'rfc-v2', hugePages: { '2M': 4 } });
  const vm = await host.createVm({ type: 'sw-protected' });
  const left = async () => (await host.hugePagePools()).find(({ size }) => size === '2M')?.reserved;
  const ram = await GuestRam.create(vm, { size: 3 * HUGE, regions, hugePageSize: '2M' });
  expect(ram.gmem.hugePageSize).toBe('2M');
  expect(await left()).toBe(3);
  const refused = await GuestRam.tryCreate(vm, { size: 2 * HUGE, regions, hugePageSize: '2M' });
  expect(refused).toMatchObject({ ok: false, code: 'ENOMEM' });
  await ram.close();
  expect(await left()).toBe(0);
  await host.close();
});

test.each(['linux-7.3', 'inplace-v13'] as const)(
  '%s has none: UnsupportedError, and nothing is left open',
  async (kernel) => {
    const host = await openHost({ backend: 'mock', kernel });
    const vm = await host.createVm({ type: 'sw-protected' });
    const before = host.mock!.openFds;
    await expect(GuestRam.create(vm, { size: HUGE, regions, hugePageSize: '2M' })).rejects.toThrow('has no huge pages');
    expect(host.mock!.openFds).toBe(before);
    await host.close();
  },
);

test('bad sizes are refused before anything is made', async () => {
  const host = await openHost({ backend: 'mock', kernel: 'rfc-v2' });
  const vm = await host.createVm({ type: 'sw-protected' });
  const make = (options: object) => GuestRam.create(vm, { size: HUGE, regions, ...options } as never);
  await expect(make({ hugePageSize: '3M' })).rejects.toThrow(TypeError);
  await expect(make({ hugePageSize: '2M', size: HUGE + 0x1000 })).rejects.toThrow(RangeError);
  await host.close();
});
