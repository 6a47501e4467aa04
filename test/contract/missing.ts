/** What this machine lacks for a backend that calls a kernel; undefined when nothing. */

import { accessSync, constants } from 'node:fs';
import { probeBackends, type RealBackend } from '../../lib/syscalls/open.ts';

export function missingFor(backend: RealBackend): string | undefined {
  const probe = probeBackends().find((found) => found.backend === backend);
  if (!probe?.available) return probe?.description;
  return missingKvm();
}

export function missingKvm(): string | undefined {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
    return undefined;
  } catch {
    return 'no /dev/kvm that opens';
  }
}
