/** All probes, in the order in which they are read. */

import type { Finding, Probe, System } from './finding.ts';
import { groups, iommufd, vfio } from './iommu-probes.ts';
import { device, features, kernel, parameters } from './kvm-probes.ts';
import { confidentialCpu, gupTest, hugePages } from './machine-probes.ts';
import { backends, lockedMemory, mock, nodeVersion } from './node-probes.ts';

export interface Section {
  readonly title: string;
  readonly findings: readonly Finding[];
}

const SECTIONS: readonly { readonly title: string; readonly probes: readonly Probe[] }[] = [
  { title: 'Node.js and backends', probes: [nodeVersion, backends, mock] },
  { title: 'Kernel', probes: [kernel, device, parameters] },
  { title: 'KVM', probes: [features] },
  { title: 'Memory', probes: [hugePages, lockedMemory, gupTest] },
  { title: 'Confidential-computing hardware', probes: [confidentialCpu] },
  { title: 'IOMMU and VFIO', probes: [iommufd, groups, vfio] },
];

export async function examine(system: System): Promise<Section[]> {
  const sections: Section[] = [];
  for (const { title, probes } of SECTIONS) {
    const findings: Finding[] = [];
    for (const probe of probes) findings.push(...(await probe(system)));
    sections.push({ title, findings });
  }
  return sections;
}
