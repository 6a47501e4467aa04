/** What there is to open(2), and with that the directories it lies in. There are no links. */

import { errno } from '../abi/errno.ts';
import { type HugePageCounter, hugePageFile } from '../abi/huge-pages.ts';
import { checkText } from '../syscalls/arguments.ts';
import { type PathSyscalls, withPathTwins } from '../syscalls/paths.ts';
import type { HugePagePool } from './huge-page-pool.ts';
import { KvmDevice, type Machine } from './kvm/index.ts';
import { type MockFile, type Text, TextFile } from './process/index.ts';

/** By path, how a file is opened. */
type Files = ReadonlyMap<string, () => MockFile>;

/** The file at a path, opened; undefined for ENOENT. */
export const openPath = (machine: Machine, path: string): MockFile | undefined => filesOf(machine).get(path)?.();

function filesOf(machine: Machine): Files {
  const files = new Map<string, () => MockFile>([['/dev/kvm', () => new KvmDevice(machine)]]);
  for (const [size, pool] of machine.hugePages) {
    for (const [counter, text] of Object.entries(countersOf(pool))) {
      files.set(hugePageFile(size, counter as HugePageCounter), () => new TextFile(text));
    }
  }
  return files;
}

const countersOf = (pool: HugePagePool): Record<HugePageCounter, Text> => ({
  nr_hugepages: {
    read: () => `${pool.total}\n`,
    write: (text) => {
      if (!/^\d+\s*$/.test(text)) return -errno.EINVAL;
      pool.resize(Number(text));
      return 0;
    },
  },
  free_hugepages: { read: () => `${pool.free}\n` },
  resv_hugepages: { read: () => `${pool.reserved}\n` },
  // No page is ever taken from ordinary memory beyond the pool.
  surplus_hugepages: { read: () => '0\n' },
  nr_overcommit_hugepages: { read: () => '0\n' },
});

export function pathCalls(machine: Machine): PathSyscalls {
  const files = filesOf(machine);
  const missing = (path: string): number => (files.has(path) ? -errno.ENOTDIR : -errno.ENOENT);
  return withPathTwins({
    readDirectory: (path) => {
      const names = namesIn(files, checkText('path', path));
      return names.length > 0 ? names : missing(path);
    },
    readLink: (path) => {
      const exists = files.has(checkText('path', path)) || namesIn(files, path).length > 0;
      return exists ? -errno.EINVAL : -errno.ENOENT;
    },
  });
}

/** What lies right in a directory. */
function namesIn(files: Files, directory: string): string[] {
  const start = directory.endsWith('/') ? directory : `${directory}/`;
  const names = [...files.keys()].filter((path) => path.startsWith(start)).map((path) => path.slice(start.length));
  return [...new Set(names.map((name) => name.split('/', 1)[0]!))];
}
