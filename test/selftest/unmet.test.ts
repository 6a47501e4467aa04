import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { GUP_TEST_PATH } from '../../lib/abi/gup-test.ts';
import type { Features } from '../../lib/host/index.ts';
import type { Host } from '../../lib/kvm/index.ts';
import type { Requires } from '../../lib/selftest/index.ts';
import { privateVmType, unmet } from '../../lib/selftest/unmet.ts';

const everyFlag = {
  names: ['GUEST_MEMFD_FLAG_MMAP'],
  bits: 1n,
  mmap: true,
  initShared: true,
  initPrivate: true,
  hugePageSizes: [],
};

/** A real kernel as this package sees it: Linux 6.18 without software-protected VMs. */
const plain = {
  release: '6.18.44',
  dialect: 'none',
  dialectReason: 'KVM_GMEM_CONVERT_SHARED: ENOTTY',
  vmTypes: ['default'],
  createFlags: { default: { ...everyFlag, initPrivate: false } },
  capabilities: { KVM_CAP_GUEST_MEMFD: 1, KVM_CAP_MEMORY_ATTRIBUTES: 0 },
  guest: { available: false, why: 'no vCPUs yet' },
  iommufd: { available: false, why: '/dev/iommu does not open: ENOENT' },
  iommufdTest: { available: false, why: '/dev/iommu does not open: ENOENT' },
  vfioContainer: { available: true, why: '/dev/vfio/vfio opens' },
  vfioPci: { available: false, why: 'no driver vfio-pci: ENOENT' },
  vfioDevices: [],
  kvmVfio: { available: true, why: 'KVM_CREATE_DEVICE knows it' },
  iommuGroups: 0,
} as unknown as Features;

const real = (features: Partial<Features> = {}) => ({ features: { ...plain, ...features } }) as Host;
const mocked = (name: string, features: Partial<Features> = {}) =>
  ({ ...real(features), mock: { profile: { name } } }) as unknown as Host;

describe('what a plain kernel lacks', () => {
  it.each<[Requires, RegExp]>([
    [
      { dialect: ['rfc-convert'] },
      /^needs conversion dialect rfc-convert: KVM_GMEM_CONVERT_SHARED.*; here it is none \(KVM_GMEM_CONVERT_SHARED: ENOTTY\)$/,
    ],
    [
      { dialect: ['attributes2', 'vm-attributes'] },
      /attributes2: .*, or vm-attributes: KVM_SET_MEMORY_ATTRIBUTES on the VM/,
    ],
    [
      { vmType: 'sw-protected' },
      /^needs VM type sw-protected; this kernel offers default: .*CONFIG_KVM_SW_PROTECTED_VM/,
    ],
    [{ vmType: 'private' }, /^needs a VM type with private memory; .*CONFIG_KVM_SW_PROTECTED_VM/],
    [{ vmType: 'snp' }, /^needs VM type snp; this kernel offers default: (no CPU flag sev_snp|kvm_amd|CPU and module)/],
    [{ flags: ['mmap', 'init-private'] }, /start private; on VM type default this kernel takes GUEST_MEMFD_FLAG_MMAP$/],
    [
      { capability: 'KVM_CAP_MEMORY_ATTRIBUTES' },
      /^needs KVM_CAP_MEMORY_ATTRIBUTES, to which this kernel \(6\.18\.44\) answers 0$/,
    ],
    [{ kernel: { since: '7.3' } }, /^needs Linux 7\.3; this is 6\.18\.44$/],
    [{ kernel: { since: '6.19' } }, /^needs Linux 6\.19/],
    [{ kernel: { before: '6.18' } }, /^needs a Linux before 6\.18; this is 6\.18\.44$/],
    [{ guest: true }, /^needs a guest that touches memory: no vCPUs yet$/],
    [{ iommufd: true }, /^needs iommufd \(CONFIG_IOMMUFD; modprobe iommufd\): \/dev\/iommu does not open: ENOENT$/],
    [{ iommufdTest: true }, /CONFIG_IOMMUFD_TEST=y/],
    [{ iommuPolicy: 'notifier' }, /^needs an iommufd that guest_memfd calls back.*\(6\.18\.44\) pins: --backend mock$/],
    [{ vfioContainer: true, vfioDevice: 'any' }, /^needs an IOMMU, and there is none/],
    [{ fork: true }, /process.*--backend mock$/],
    [{ faults: true }, /--backend mock$/],
    [{ journal: true }, /--backend mock$/],
  ])('%o', (requires, reason) => {
    expect(unmet(requires, real())).toMatch(reason);
  });
});

it('a device is one that vfio-pci has, and for transfers one that can be told to start them', () => {
  const network = { address: '0000:00:04.0', vendor: 0x8086, device: 0x100e };
  const edu = { address: '0000:00:05.0', vendor: 0x1234, device: 0x11e8 };
  const vfioPci = { available: true, why: 'the driver is loaded' };
  const having = (...vfioDevices: (typeof edu)[]) => real({ iommuGroups: 3, vfioPci, vfioDevices });
  expect(unmet({ vfioDevice: 'any' }, real({ iommuGroups: 3 }))).toBe(
    'needs a device that vfio-pci has: no driver vfio-pci: ENOENT',
  );
  expect(unmet({ vfioDevice: 'any' }, having())).toBe('needs a device that vfio-pci has; it has none');
  expect(unmet({ vfioDevice: 'edu' }, having(network))).toMatch(/^needs QEMU’s edu device .* it has 0000:00:04\.0$/);
  expect(unmet({ vfioDevice: 'any' }, having(network))).toBeUndefined();
  expect(unmet({ vfioDevice: 'edu' }, having(network, edu))).toBeUndefined();
});

it('ffi has no threads', () => {
  const backend = (name: string) => ({ ...real(), backend: name }) as Host;
  expect(unmet({ threads: true }, backend('ffi'))).toMatch(/^needs threads .*ffi-rs/);
  expect(unmet({ threads: true }, backend('native'))).toBeUndefined();
});

describe('what it has', () => {
  it.each<Requires>([
    {},
    { dialect: ['none'] },
    { vmType: 'default' },
    { flags: ['mmap', 'init-shared'] },
    { capability: 'KVM_CAP_GUEST_MEMFD' },
    { kernel: { since: '6.18', before: '7.0' } },
    { kernel: { since: '6.2' } },
    { profile: ['rfc-v2'] },
    { vfioContainer: true, kvmVfio: true },
  ])('%o', (requires) => {
    expect(unmet(requires, real())).toBeUndefined();
  });
});

describe('the mock', () => {
  it('has what only it has', () => {
    expect(unmet({ pins: true, fork: true, faults: true, journal: true }, mocked('rfc-v2'))).toBeUndefined();
  });

  it('is asked for its profile', () => {
    expect(unmet({ profile: ['rfc-v2'] }, mocked('rfc-v2'))).toBeUndefined();
    expect(unmet({ profile: ['rfc-v2'] }, mocked('linux-7.3'))).toBe(
      'needs the mocked kernel rfc-v2; this is linux-7.3',
    );
  });

  it("takes the platform's own type for private memory, a real kernel the emulated one", () => {
    const types = { createFlags: { 'sw-protected': everyFlag, tdx: everyFlag } };
    expect(privateVmType(mocked('linux-7.3', types))).toBe('tdx');
    expect(privateVmType(real(types))).toBe('sw-protected');
  });
});

it('flags are looked up on the type that the case uses', () => {
  const host = real({
    vmTypes: ['default', 'sw-protected'],
    createFlags: { 'sw-protected': { ...everyFlag, initShared: false, names: [] } },
  });
  expect(unmet({ flags: ['mmap'] }, host)).toBe('needs a guest_memfd on VM type default, which this kernel refuses');
  expect(unmet({ vmType: 'private', flags: ['init-shared'] }, host)).toMatch(/start shared; .* takes no flags$/);
  expect(unmet({ vmType: 'private', flags: ['init-private'] }, host)).toBeUndefined();
});

it.skipIf(existsSync(GUP_TEST_PATH))('a kernel without CONFIG_GUP_TEST gives no pins', () => {
  expect(unmet({ pins: true }, real())).toMatch(/a pin.*gup_test: ENOENT; needs CONFIG_GUP_TEST=y/);
});
