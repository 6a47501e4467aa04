/** The machine this runs on. */

import { accessSync, constants, readdirSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { openHost } from '../../kvm/index.ts';
import { probeBackends } from '../../syscalls/open.ts';
import type { System } from './finding.ts';

export const thisMachine: System = {
  node: { version: process.version, arch: process.arch, uid: process.getuid?.() ?? -1 },
  release: release(),
  read: (path) => orElse(undefined, () => readFileSync(path, 'utf8')),
  list: (path) => orElse([], () => readdirSync(path).sort()),
  refusal: (path, how) => {
    try {
      accessSync(path, how === 'write' ? constants.R_OK | constants.W_OK : constants.R_OK);
      return undefined;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code ?? String(error);
    }
  },
  backends: probeBackends,
  host: async () => {
    try {
      const host = await openHost();
      if (!host.mock) return host;
      await host.close();
      return host.reason;
    } catch (error) {
      return (error as Error).message;
    }
  },
};

function orElse<V>(value: V, call: () => V): V {
  try {
    return call();
  } catch {
    return value;
  }
}
