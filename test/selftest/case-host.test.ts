import { expect, test } from 'vitest';
import { openHost } from '../../lib/kvm/index.ts';
import { caseHost } from '../../lib/selftest/case-host.ts';

test('a case that names a design of the IOMMU gets a mock of the same kernel and platform with it', async () => {
  await using host = await openHost({ backend: 'mock', kernel: 'rfc-v2', platform: 'tdx' });
  const own = await caseHost({ iommuPolicy: 'notifier' }, host);
  expect(own.host).not.toBe(host);
  expect(own.host.mock).toMatchObject({ iommuPolicy: 'notifier', platform: 'tdx', profile: { name: 'rfc-v2' } });
  expect(own.host.features.dialect).toBe(host.features.dialect);
  await own.close();
  await expect(own.host.createVm()).rejects.toThrow();
  expect(host.mock!.iommuPolicy).toBe('pin');
});

test('the group’s own host serves a case that names no design, or the one it has, and stays open', async () => {
  await using host = await openHost({ backend: 'mock' });
  for (const requires of [{}, { iommuPolicy: 'pin' as const }]) {
    const own = await caseHost(requires, host);
    expect(own.host).toBe(host);
    await own.close();
  }
  await using vm = await host.createVm();
  expect(vm.fd).toBeGreaterThan(0);
});
