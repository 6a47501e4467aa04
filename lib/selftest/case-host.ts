/** The host a case runs on: its group's, or where its IOMMU is to be of another design, the same mocked kernel once more. */

import { type Host, openHost } from '../kvm/index.ts';
import type { Requires } from './requires.ts';

/** `close` ends what was opened for the case alone. */
export interface CaseHost {
  readonly host: Host;
  close(): Promise<void>;
}

const GROUPS_OWN = async (): Promise<void> => {};

export async function caseHost({ iommuPolicy }: Requires, host: Host): Promise<CaseHost> {
  const { mock } = host;
  if (!mock || iommuPolicy === undefined || iommuPolicy === mock.iommuPolicy) return { host, close: GROUPS_OWN };
  const { profile, platform } = mock;
  const { dialect } = host.features;
  const other = await openHost({ backend: 'mock', kernel: profile.name, platform, iommu: iommuPolicy, dialect });
  return { host: other, close: () => other.close() };
}
