import { describe, expect, it } from 'vitest';
import { examine, type Finding, findingsText, type System } from '../../lib/cli/doctor/index.ts';
import { openHost } from '../../lib/kvm/index.ts';

/** A machine of files; what is not listed is not there. */
function machine(files: Record<string, string> = {}, rest: Partial<System> = {}): System {
  const under = (path: string) =>
    Object.keys(files).flatMap((file) =>
      file.startsWith(`${path}/`) ? [file.slice(path.length + 1).split('/')[0]!] : [],
    );
  return {
    node: { version: 'v22.1.0', arch: 'x64', uid: 1000 },
    release: '6.18.44',
    read: (path) => files[path],
    list: (path) => [...new Set(under(path))].sort(),
    refusal: (path) => (path in files ? undefined : 'ENOENT'),
    backends: () => [],
    host: async () => '/dev/kvm: ENOENT',
    ...rest,
  };
}

const lost = {
  backend: 'native',
  available: false,
  description: 'no binary',
  reasons: [],
  fixes: ['compile it'],
} as const;

async function findings(system: System): Promise<Map<string, Finding>> {
  const sections = await examine(system);
  return new Map(sections.flatMap((section) => section.findings).map((finding) => [finding.name.trim(), finding]));
}

describe('a bare machine', () => {
  it('lacks things, and says how to get every one of them', async () => {
    const all = [...(await findings(machine())).values()];
    const lacking = all.filter(({ status }) => status === 'missing');
    expect(lacking.map(({ name }) => name)).toEqual([
      '/dev/kvm',
      'KVM',
      'huge pages',
      '/sys/kernel/debug/gup_test',
      '/dev/iommu',
      'IOMMU groups',
      '/dev/vfio/vfio',
      'vfio-pci',
      'VFIO devices',
    ]);
    for (const { fix } of lacking) expect(fix).toMatch(/\w/);
    expect(all.filter(({ status, fix }) => status !== 'missing' && fix !== undefined)).toEqual([]);
  });

  it('still has the mock', async () => {
    expect((await findings(machine())).get('backend mock')?.value).toContain('always there');
  });
});

describe('single findings', () => {
  it.each<[string, Record<string, string>, Partial<System>, string, Finding['status'], RegExp]>([
    ['an old Node', {}, { node: { version: 'v20.18.3', arch: 'x64', uid: 0 } }, 'Node.js', 'missing', /v20\.18\.3/],
    ['/dev/kvm', { '/dev/kvm': '' }, {}, '/dev/kvm', 'ok', /can be opened/],
    ['/dev/kvm of another group', {}, { refusal: () => 'EACCES' }, '/dev/kvm', 'missing', /EACCES/],
    ['SNP on', { '/sys/module/kvm_amd/parameters/sev_snp': 'Y\n' }, {}, 'kvm_amd.sev_snp', 'ok', /^Y$/],
    ['SNP off', { '/sys/module/kvm_amd/parameters/sev_snp': 'N\n' }, {}, 'kvm_amd.sev_snp', 'missing', /^N$/],
    ['no kvm_amd', {}, {}, 'kvm_amd.sev_snp', 'info', /not loaded/],
    ['kvm_amd without SEV', { '/sys/module/kvm_amd/refcnt': '' }, {}, 'kvm_amd.sev_snp', 'info', /CONFIG_KVM_AMD_SEV/],
    [
      'in-place conversion',
      { '/sys/module/kvm/parameters/gmem_in_place_conversion': 'Y\n' },
      {},
      'kvm.gmem_in_place_conversion',
      'ok',
      /Y/,
    ],
    [
      'SEV in the CPU and in KVM',
      { '/proc/cpuinfo': 'flags\t\t: fpu sev sev_es\n', '/sys/module/kvm_amd/parameters/sev': 'Y\n' },
      {},
      'AMD SEV',
      'ok',
      /VM type sev/,
    ],
    [
      'SEV in the CPU alone',
      { '/proc/cpuinfo': 'flags\t\t: fpu sev\n' },
      {},
      'AMD SEV',
      'missing',
      /kvm_amd is not loaded/,
    ],
    [
      'SNP turned off by KVM',
      { '/proc/cpuinfo': 'flags\t\t: sev_snp\n', '/sys/module/kvm_amd/parameters/sev_snp': 'N\n' },
      {},
      'AMD SEV-SNP',
      'missing',
      /kvm_amd\.sev_snp=N/,
    ],
    ['not SEV-SNP', { '/proc/cpuinfo': 'flags\t\t: fpu sev sev_es\n' }, {}, 'AMD SEV-SNP', 'info', /no CPU flag/],
    [
      'TDX in the CPU, and a kvm_intel without it',
      { '/proc/cpuinfo': 'flags\t\t: tdx_host_platform\n', '/sys/module/kvm_intel/refcnt': '0\n' },
      {},
      'Intel TDX host',
      'missing',
      /no parameter tdx/,
    ],
    [
      'locked memory',
      { '/proc/self/limits': 'Max locked memory         8388608              8388608              bytes\n' },
      {},
      'locked memory',
      'info',
      /^8 MiB/,
    ],
    ['IOMMU groups', { '/sys/kernel/iommu_groups/0/type': 'DMA\n' }, {}, 'IOMMU groups', 'ok', /^1$/],
    ['vfio-pci', { '/sys/bus/pci/drivers/vfio-pci/bind': '' }, {}, 'vfio-pci', 'ok', /loaded/],
    [
      'a VFIO device',
      { '/sys/bus/pci/drivers/vfio-pci/0000:00:05.0': '', '/dev/vfio/devices/vfio0': '' },
      {},
      'VFIO devices',
      'ok',
      /^0000:00:05\.0 \(vfio0\)$/,
    ],
    [
      'a VFIO device without a cdev',
      { '/sys/bus/pci/drivers/vfio-pci/0000:00:05.0': '' },
      {},
      'VFIO cdevs',
      'missing',
      /none/,
    ],
    ['a lost backend', {}, { backends: () => [lost] }, 'backend native', 'missing', /no binary/],
  ])('%s', async (_, files, rest, name, status, value) => {
    const finding = (await findings(machine(files, rest))).get(name);
    expect(finding).toMatchObject({ name, status });
    expect(finding?.value).toMatch(value);
  });

  it('counts huge pages by size', async () => {
    const base = '/sys/kernel/mm/hugepages/hugepages-2048kB';
    const found = await findings(machine({ [`${base}/nr_hugepages`]: '16\n', [`${base}/free_hugepages`]: '12\n' }));
    expect(found.get('huge pages of 2048kB')).toMatchObject({ status: 'ok', value: '16 reserved, 12 free' });
    const none = await findings(machine({ [`${base}/nr_hugepages`]: '0\n' }));
    expect(none.get('huge pages of 2048kB')?.fix).toBe(`echo 16 > ${base}/nr_hugepages`);
    const huge = await findings(machine({ '/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages': '0' }));
    expect(huge.get('huge pages of 1048576kB')?.fix).toMatch(/^echo 1 >/);
  });
});

describe('KVM', () => {
  it('is asked through a host, which is closed again', async () => {
    const host = await openHost({ backend: 'mock', kernel: 'rfc-v2' });
    const found = await findings(machine({}, { host: async () => host }));
    expect(host.closed).toBe(true);
    expect(found.get('conversion dialect')).toMatchObject({ status: 'ok' });
    expect(found.get('conversion dialect')?.value).toMatch(/^rfc-convert: /);
    expect(found.get('KVM_GMEM_CONVERT_SHARED')?.value).not.toBe('');
    expect(found.get('VM types')?.value).toBe('default, sw-protected');
    expect(found.get('create flags (default)')?.value).toContain('GUEST_MEMFD_FLAG_SUPPORT_SHARED');
    expect(found.get('KVM_CAP_GMEM_CONVERSION')).toMatchObject({ status: 'info' });
    expect(found.get('KVM_CAP_GMEM_CONVERSION')?.value).toMatch(/^1 \(.*241 is also KVM_CAP_ARM_EL2_E2H0/);
    expect(found.get('KVM_CAP_GUEST_MEMFD')).toMatchObject({ status: 'ok', value: '1' });
  });

  it('that speaks no dialect is a thing to fix', async () => {
    const host = await openHost({ backend: 'mock', kernel: 'linux-6.18', dialect: 'none' });
    const found = await findings(machine({}, { host: async () => host }));
    expect(found.get('conversion dialect')).toMatchObject({ status: 'missing' });
  });
});

it('findingsText aligns names and puts each fix under its finding', () => {
  const text = findingsText([
    {
      title: 'Things',
      findings: [
        { name: 'a', status: 'ok', value: 'here' },
        { name: 'longer', status: 'missing', value: 'gone', fix: 'get one' },
        { name: 'c', status: 'info', value: '7' },
      ],
    },
  ]);
  expect(text).toBe(
    [
      'Things',
      '  ok       a       here',
      '  missing  longer  gone',
      '                   -> get one',
      '           c       7',
    ].join('\n'),
  );
});
