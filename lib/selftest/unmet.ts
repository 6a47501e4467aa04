/** What a case needs and a host lacks, in words that name it and, where there is one, the way to get it. */

import type { Dialect } from '../abi/index.ts';
import { type ConfidentialType, whyNoVmType } from '../host/index.ts';
import { isEdu } from '../iommu/index.ts';
import type { Host, VmType } from '../kvm/index.ts';
import type { IommuPolicy } from '../mock/index.ts';
import { whyNoFailNth } from './fail-nth.ts';
import { whyNoPins } from './pin.ts';
import type { CreateFlag, Requires } from './requires.ts';
import { whyNoSteps } from './step-log.ts';

type Rule = (requires: Requires, host: Host) => string | undefined;

/** The first requirement that the host does not meet; undefined when it meets all. */
export function unmet(requires: Requires, host: Host): string | undefined {
  for (const rule of RULES) {
    const reason = rule(requires, host);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

/** The VM type to use where a case asks for private memory: on the mock the platform's own, else the emulated one. */
export function privateVmType({ features, mock }: Host): VmType | undefined {
  const order: VmType[] = mock ? ['snp', 'tdx', 'sw-protected'] : ['sw-protected', 'snp', 'tdx'];
  return order.find((type) => features.createFlags[type] !== undefined);
}

/** The VM type that a case's own VM has. */
export function vmTypeOf({ vmType = 'default' }: Requires, host: Host): VmType | undefined {
  return vmType === 'private' ? privateVmType(host) : vmType;
}

const IOCTLS: Record<Dialect, string> = {
  'rfc-convert': 'KVM_GMEM_CONVERT_SHARED and _PRIVATE ("1G page support for guest_memfd", RFC v2)',
  attributes2: 'KVM_SET_MEMORY_ATTRIBUTES2 on the guest_memfd ("guest_memfd: In-place conversion support")',
  'vm-attributes': 'KVM_SET_MEMORY_ATTRIBUTES on the VM (CONFIG_KVM_SW_PROTECTED_VM, SEV-SNP or TDX)',
  none: 'a kernel without any conversion',
};

const dialect: Rule = ({ dialect: wanted }, { features }) => {
  if (!wanted || wanted.includes(features.dialect)) return undefined;
  const list = wanted.map((name) => `${name}: ${IOCTLS[name]}`).join(', or ');
  return `needs conversion dialect ${list}; here it is ${features.dialect} (${features.dialectReason})`;
};

const SW_PROTECTED = 'a kernel with CONFIG_KVM_SW_PROTECTED_VM=y offers sw-protected';
const VM_TYPE_FIXES: Record<Exclude<VmType | 'private', ConfidentialType>, string> = {
  default: 'check /dev/kvm with gmem doctor',
  'sw-protected': SW_PROTECTED,
  private: SW_PROTECTED,
};
const PLATFORMS: Record<ConfidentialType, string> = { sev: 'sev-snp', 'sev-es': 'sev-snp', snp: 'sev-snp', tdx: 'tdx' };

/** In the words of gmem doctor, where this machine's hardware is what is missing. */
function vmTypeFix(type: VmType | 'private', { mock }: Host): string {
  if (type === 'default' || type === 'sw-protected' || type === 'private') return VM_TYPE_FIXES[type];
  if (mock) return `the mock has it on --platform ${PLATFORMS[type]}`;
  const lack = whyNoVmType(type);
  return lack ? `${lack.what}: ${lack.fix}` : 'CPU and module have it, and KVM does not offer it: dmesg says why';
}

const vmType: Rule = (requires, host) => {
  const { vmTypes } = host.features;
  const type = vmTypeOf(requires, host);
  if (requires.vmType === undefined || (type && vmTypes.includes(type))) return undefined;
  const wanted = requires.vmType === 'private' ? 'a VM type with private memory' : `VM type ${requires.vmType}`;
  return `needs ${wanted}; this kernel offers ${vmTypes.join(', ')}: ${vmTypeFix(requires.vmType, host)}`;
};

const FLAGS: Record<CreateFlag, { readonly key: 'mmap' | 'initShared' | 'initPrivate'; readonly what: string }> = {
  mmap: { key: 'mmap', what: 'be mapped (Linux 6.18 and later)' },
  'init-shared': { key: 'initShared', what: 'be mapped and start shared' },
  'init-private': { key: 'initPrivate', what: 'be mapped and start private' },
};

const flags: Rule = (requires, host) => {
  if (!requires.flags) return undefined;
  const type = vmTypeOf(requires, host)!;
  const accepted = host.features.createFlags[type];
  if (!accepted) return `needs a guest_memfd on VM type ${type}, which this kernel refuses`;
  const missing = requires.flags.find((flag) => !accepted[FLAGS[flag].key]);
  if (missing === undefined) return undefined;
  return `needs a guest_memfd that can ${FLAGS[missing].what}; on VM type ${type} this kernel takes ${accepted.names.join(', ') || 'no flags'}`;
};

const hugePages: Rule = (requires, host) => {
  const { hugePageSize } = requires;
  if (hugePageSize === undefined) return undefined;
  const type = vmTypeOf(requires, host)!;
  const sizes = host.features.createFlags[type]?.hugePageSizes ?? [];
  if (sizes.includes(hugePageSize)) return undefined;
  const found = sizes.length === 0 ? 'none' : sizes.join(', ');
  return (
    `needs huge pages of ${hugePageSize} in a guest_memfd ("1G page support for guest_memfd", RFC v2, with ` +
    `CONFIG_KVM_GMEM_HUGETLB); on VM type ${type} this kernel has ${found}`
  );
};

const capability: Rule = ({ capability: name }, { features }) =>
  name === undefined || features.capabilities[name] > 0
    ? undefined
    : `needs ${name}, to which this kernel (${features.release}) answers 0`;

const kernel: Rule = ({ kernel: releases, profile }, { features, mock }) => {
  const { release } = features;
  if (releases?.since && isOlder(release, releases.since)) return `needs Linux ${releases.since}; this is ${release}`;
  if (releases?.before && !isOlder(release, releases.before)) {
    return `needs a Linux before ${releases.before}; this is ${release}`;
  }
  if (!profile || !mock || profile.includes(mock.profile.name)) return undefined;
  return `needs the mocked kernel ${profile.join(' or ')}; this is ${mock.profile.name}`;
};

/** Whether a kernel release is before another, by its first two numbers. */
export function isOlder(release: string, than: string): boolean {
  const [major = 0, minor = 0] = release.split(/[.-]/).map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = than.split('.').map(Number);
  return major < wantedMajor || (major === wantedMajor && minor < wantedMinor);
}

const guest: Rule = ({ guest: wanted }, { features }) =>
  wanted && !features.guest.available ? `needs a guest that touches memory: ${features.guest.why}` : undefined;

const pins: Rule = ({ pins: wanted }, { mock }) => {
  const why = wanted && !mock ? whyNoPins() : undefined;
  return why && `needs references on pages taken from outside (a pin): ${why}`;
};

const threads: Rule = ({ threads: wanted }, { backend }) =>
  wanted && backend === 'ffi' ? 'needs threads that make system calls; ffi-rs has only the main thread' : undefined;

const steps: Rule = ({ steps: wanted }, { mock }) => {
  const why = wanted && !mock ? whyNoSteps() : undefined;
  return why && `needs a record of the steps inside a call: ${why}`;
};

const real: Rule = ({ real: wanted }, { mock }) =>
  wanted && mock ? 'needs a real kernel to compare the mock with: --backend native' : undefined;

const FILES = {
  iommufd: ['iommufd', 'CONFIG_IOMMUFD; modprobe iommufd'],
  iommufdTest: ['iommufd’s test driver', 'CONFIG_IOMMUFD_TEST=y, as scripts/lab has it'],
  vfioContainer: ['VFIO containers', 'CONFIG_VFIO_CONTAINER; modprobe vfio-pci'],
  kvmVfio: ['KVM’s VFIO device', 'CONFIG_KVM_VFIO'],
} as const;

const iommu: Rule = (requires, { features }) => {
  for (const [key, [what, fix]] of Object.entries(FILES) as [keyof typeof FILES, readonly [string, string]][]) {
    if (!requires[key]) continue;
    const { available, why } = features[key];
    if (!available) return `needs ${what} (${fix}): ${why}`;
  }
  return undefined;
};

const DESIGNS: Record<Exclude<IommuPolicy, 'pin'>, string> = {
  'trust-vmm': 'that maps a guest_memfd by its file ("iommufd: Allow mapping from KVM\'s guest_memfd", RFC)',
  notifier: 'that guest_memfd calls back before memory changes hands (proposed in June 2025)',
  'revoke-area': 'whose areas guest_memfd can revoke (proposed in February 2026)',
};

const iommuPolicy: Rule = ({ iommuPolicy: wanted }, { mock, features }) => {
  if (wanted === undefined || wanted === 'pin' || mock) return undefined;
  return `needs an iommufd ${DESIGNS[wanted]}; that of this kernel (${features.release}) pins: --backend mock`;
};

const vfioDevice: Rule = ({ vfioDevice: wanted }, { features }) => {
  const { vfioDevices, vfioPci, iommuGroups } = features;
  if (wanted === undefined || vfioDevices.some((device) => wanted === 'any' || isEdu(device))) return undefined;
  if (iommuGroups === 0) return 'needs an IOMMU, and there is none (/sys/kernel/iommu_groups)';
  if (!vfioPci.available) return `needs a device that vfio-pci has: ${vfioPci.why}`;
  const what = wanted === 'edu' ? 'QEMU’s edu device (-device edu, as scripts/lab has it)' : 'a device';
  return `needs ${what} that vfio-pci has; it has ${vfioDevices.map(({ address }) => address).join(', ') || 'none'}`;
};

const failNth: Rule = ({ failNth: wanted }, { mock }) => {
  const why = wanted && !mock ? whyNoFailNth() : undefined;
  return why && `needs allocations that fail on demand: ${why}`;
};

const MOCK_ONLY = {
  fork: 'a second process that inherits the mappings',
  faults: 'failures on demand',
  journal: 'a record of every step, allocations included',
  mock: 'a kernel that can be looked into',
} as const;

const mockOnly: Rule = (requires, { mock }) => {
  const wanted = (Object.keys(MOCK_ONLY) as (keyof typeof MOCK_ONLY)[]).find((key) => requires[key]);
  return wanted && !mock ? `needs ${MOCK_ONLY[wanted]}, which only the mock gives: --backend mock` : undefined;
};

const RULES: readonly Rule[] = [
  dialect,
  kernel,
  vmType,
  flags,
  hugePages,
  capability,
  guest,
  threads,
  pins,
  failNth,
  steps,
  real,
  iommu,
  iommuPolicy,
  vfioDevice,
  mockOnly,
];
