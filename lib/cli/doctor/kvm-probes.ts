/** /dev/kvm, and what the kernel behind it answers. */

import { type CapabilityName, capabilities, capabilityNames } from '../../abi/index.ts';
import type { Features, VmType } from '../../host/index.ts';
import type { Host } from '../../kvm/index.ts';
import { type Finding, info, missing, ok, type Probe, type System } from './finding.ts';
import { testDriver } from './iommu-probes.ts';

export const kernel: Probe = ({ release }) => [info('kernel', `Linux ${release}`)];

export const device: Probe = ({ refusal, node }) => {
  const code = refusal('/dev/kvm', 'write');
  if (code === undefined) return [ok('/dev/kvm', 'can be opened')];
  const fix =
    code === 'ENOENT'
      ? 'enable virtualization in the firmware and load a module: modprobe kvm_amd or kvm_intel; in a VM, have nested virtualization enabled'
      : `needs read and write access for uid ${node.uid}: usermod -aG kvm USER, and a new login`;
  return [missing('/dev/kvm', code, fix)];
};

/** Everything that takes a host: one is opened for all of it, and closed. */
export const features: Probe = async (system: System) => {
  const host = await system.host();
  if (typeof host === 'string') {
    return [missing('KVM', `not asked: ${host}`, 'see /dev/kvm and the backends above')];
  }
  try {
    await host.guestSupport();
    return describe(host);
  } finally {
    await host.close();
  }
};

function describe({ features, backend, description }: Host): Finding[] {
  return [
    info('asked through', `${backend}: ${description}`),
    info('KVM API version', String(features.apiVersion)),
    dialect(features),
    ...features.dialectProbes.map(({ request, answer }) => info(`  ${request}`, answer)),
    guestMemfd(features),
    vmTypes(features),
    ...Object.entries(features.createFlags).map(([type, { names }]) => flags(type as VmType, names)),
    features.guest.available ? ok('guest', features.guest.why) : info('guest', features.guest.why),
    testDriver(features),
    ...(Object.keys(capabilities) as CapabilityName[]).map((name) => capability(name, features)),
  ];
}

function dialect({ dialect: name, dialectReason }: Features): Finding {
  const value = `${name}: ${dialectReason}`;
  if (name !== 'none') return ok('conversion dialect', value);
  return missing(
    'conversion dialect',
    value,
    'needs a kernel with CONFIG_KVM_SW_PROTECTED_VM=y, or SEV-SNP or TDX (conversion by the VM), or with one of the ' +
      'series for in-place conversion; until then the mock: gmem selftest --kernel rfc-v2',
  );
}

function guestMemfd({ guestMemfd: works, mmap }: Features): Finding {
  if (!works) return missing('guest_memfd', 'cannot be created', 'needs Linux 6.8 or later on x86-64, 6.18 on arm64');
  if (!mmap) return missing('guest_memfd', 'cannot be mapped', 'needs Linux 6.18 or later (GUEST_MEMFD_FLAG_MMAP)');
  return ok('guest_memfd', 'can be created and mapped');
}

function vmTypes({ vmTypes: types }: Features): Finding {
  if (types.length > 1) return ok('VM types', types.join(', '));
  return missing(
    'VM types',
    types.join(', '),
    'needs CONFIG_KVM_SW_PROTECTED_VM=y (and CONFIG_EXPERT=y), SEV-SNP or TDX',
  );
}

const flags = (type: VmType, names: readonly string[]): Finding =>
  info(`  create flags (${type})`, names.join(', ') || 'none accepted');

function capability(name: CapabilityName, features: Features): Finding {
  const answer = features.capabilities[name];
  const { number, ...origin } = capabilities[name] as { number: number; series?: string; arch?: string };
  const others = capabilityNames(number).filter((other) => other !== name);
  const notes = [
    ...(origin.series ? [`series "${origin.series}"`] : []),
    ...(origin.arch ? [`${origin.arch} only`] : []),
    ...(answer > 0 && others.length > 0 ? [`${number} is also ${others.join(', ')}: proves nothing by itself`] : []),
  ];
  const value = `${answer}${notes.length > 0 ? ` (${notes.join('; ')})` : ''}`;
  return answer > 0 && notes.length === 0 ? ok(name, value) : info(name, value);
}

/** Module parameters that decide about private memory. That one is absent is normal: each belongs to one vendor, or series. */
const PARAMETERS: readonly { readonly module: string; readonly name: string; readonly absent: string }[] = [
  {
    module: 'kvm',
    name: 'gmem_in_place_conversion',
    absent: 'an older kernel, or one without CONFIG_KVM_VM_MEMORY_ATTRIBUTES, where it is always on',
  },
  { module: 'kvm_amd', name: 'sev', absent: 'the kernel has no CONFIG_KVM_AMD_SEV' },
  { module: 'kvm_amd', name: 'sev_es', absent: 'the kernel has no CONFIG_KVM_AMD_SEV' },
  { module: 'kvm_amd', name: 'sev_snp', absent: 'the kernel has no CONFIG_KVM_AMD_SEV' },
  { module: 'kvm_intel', name: 'tdx', absent: 'the kernel has no CONFIG_KVM_INTEL_TDX' },
];

export const parameters: Probe = ({ read, list }) => {
  const modules = list('/sys/module').filter((name) => /^kvm/.test(name));
  return [
    info('modules', modules.join(', ') || 'none'),
    ...PARAMETERS.map(({ module, name, absent }) => {
      const value = read(`/sys/module/${module}/parameters/${name}`)?.trim();
      const title = `${module}.${name}`;
      if (value === undefined) {
        return info(title, modules.includes(module) ? `not there: ${absent}` : `${module} is not loaded`);
      }
      return /^[Y1]/.test(value) ? ok(title, value) : missing(title, value, `load ${module} with ${name}=1`);
    }),
  ];
};
