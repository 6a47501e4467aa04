/**
 * Why a host makes no VM of a confidential type: what is missing first on the way from the CPU over the firmware to KVM.
 * Source: arch/x86/include/asm/cpufeatures.h, sev_hardware_setup() and tdx_bringup(), arch/x86/kvm of Linux 7.3.4.
 */

import { readFileSync } from 'node:fs';
import type { VmType } from './vm-types.ts';

export type ConfidentialType = Exclude<VmType, 'default' | 'sw-protected'>;

export interface Lack {
  readonly what: string;
  /** How to get it. */
  readonly fix: string;
}

interface Way {
  /** Of /proc/cpuinfo: the kernel shows it only where the firmware has the feature enabled. */
  readonly flag: string;
  readonly cpu: string;
  readonly module: string;
  readonly parameter: string;
  readonly config: string;
  /** What else makes KVM turn the parameter off. */
  readonly besides: string;
}

const AMD = { module: 'kvm_amd', config: 'CONFIG_KVM_AMD_SEV' } as const;
const PSP = 'the ccp driver with /dev/sev';

const WAYS: Readonly<Record<ConfidentialType, Way>> = {
  sev: { ...AMD, flag: 'sev', parameter: 'sev', cpu: 'an AMD EPYC with SEV', besides: PSP },
  'sev-es': { ...AMD, flag: 'sev_es', parameter: 'sev_es', cpu: 'an AMD EPYC 7002 or later with SEV-ES', besides: PSP },
  snp: {
    ...AMD,
    flag: 'sev_snp',
    parameter: 'sev_snp',
    cpu: 'an AMD EPYC 7003 or later with SEV-SNP and its RMP',
    besides: `${PSP}, and an IOMMU that is not in passthrough mode`,
  },
  tdx: {
    flag: 'tdx_host_platform',
    module: 'kvm_intel',
    parameter: 'tdx',
    config: 'CONFIG_KVM_INTEL_TDX',
    cpu: 'a 4th generation Intel Xeon or later with TDX and its module',
    besides: 'EPT and the TDP MMU (kvm.tdp_mmu=1)',
  },
};

/** Which VM types there are that hardware guards. */
export const confidentialTypes = Object.keys(WAYS) as readonly ConfidentialType[];

/** A file's text, or undefined. */
export type ReadText = (path: string) => string | undefined;

/** What is missing first; undefined where all is there, as far as files tell. */
export function whyNoVmType(type: ConfidentialType, read: ReadText = readText): Lack | undefined {
  const { flag, cpu, module, parameter, config, besides } = WAYS[type];
  const load = `modprobe ${module} ${parameter}=1`;
  if (!cpuFlags(read).has(flag)) {
    return { what: `no CPU flag ${flag}`, fix: `needs ${cpu}, enabled in the firmware, and a kernel that knows it` };
  }
  const value = read(`/sys/module/${module}/parameters/${parameter}`)?.trim();
  if (value === undefined) {
    return read(`/sys/module/${module}/refcnt`) === undefined
      ? { what: `${module} is not loaded`, fix: load }
      : { what: `${module} has no parameter ${parameter}`, fix: `needs a kernel with ${config}=y` };
  }
  if (/^[Y1]/.test(value)) return undefined;
  return {
    what: `${module}.${parameter}=${value}`,
    fix: `${load}; where it stays so, dmesg says why: it needs ${besides}`,
  };
}

function cpuFlags(read: ReadText): ReadonlySet<string> {
  const line = /^flags\s*:(.*)$/m.exec(read('/proc/cpuinfo') ?? '')?.[1] ?? '';
  return new Set(line.trim().split(/\s+/));
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
