/** What there is to open(2), the links among it, and with that the directories it lies in. */

import { errno } from '../abi/errno.ts';
import { type HugePageCounter, hugePageFile } from '../abi/huge-pages.ts';
import { checkText } from '../syscalls/arguments.ts';
import { type PathSyscalls, withPathTwins } from '../syscalls/paths.ts';
import { mortal } from './alive.ts';
import type { HugePagePool } from './huge-page-pool.ts';
import { DriverFile, KvmDevice, type Machine } from './kvm/index.ts';
import { type FileOpener, type MockFile, type PathSource, type Text, textFile } from './process/index.ts';

/** The file at a path, opened, or -errno. */
export function openPath(machine: Machine, path: string, flags: number): MockFile | number {
  return new Tree(machine).open(path, flags);
}

export function pathCalls(machine: Machine): PathSyscalls {
  return withPathTwins({
    readDirectory: mortal(machine, (path) => new Tree(machine).list(checkText('path', path))),
    readLink: mortal(machine, (path) => new Tree(machine).link(checkText('path', path))),
  });
}

/** All paths as they are at this moment. */
class Tree {
  readonly #files: ReadonlyMap<string, FileOpener>;
  readonly #links: ReadonlyMap<string, string>;

  constructor(machine: Machine) {
    const sources = [ownFiles(machine), ...machine.paths];
    this.#files = new Map(sources.flatMap((source) => [...source.files()]));
    this.#links = new Map(sources.flatMap((source) => [...source.links()]));
  }

  open(path: string, flags: number): MockFile | number {
    return this.#files.get(this.#resolve(path))?.(flags) ?? -errno.ENOENT;
  }

  list(path: string): readonly string[] | number {
    const directory = this.#resolve(path);
    const names = this.#namesIn(directory);
    if (names.length > 0) return names;
    return this.#files.has(directory) ? -errno.ENOTDIR : -errno.ENOENT;
  }

  /** The last name of the path is not followed. */
  link(path: string): string | number {
    const at = path.lastIndexOf('/');
    const own = `${this.#resolve(path.slice(0, at))}${path.slice(at)}`;
    const target = this.#links.get(own);
    if (target !== undefined) return target;
    return this.#files.has(own) || this.#namesIn(own).length > 0 ? -errno.EINVAL : -errno.ENOENT;
  }

  /** The path without links and dots. */
  #resolve(path: string): string {
    let resolved = '';
    for (const name of path.split('/')) {
      if (name === '' || name === '.') continue;
      if (name === '..') resolved = resolved.slice(0, resolved.lastIndexOf('/'));
      else {
        const target = this.#links.get(`${resolved}/${name}`);
        if (target === undefined) resolved = `${resolved}/${name}`;
        else resolved = this.#resolve(target.startsWith('/') ? target : `${resolved}/${target}`);
      }
    }
    return resolved;
  }

  /** What lies right in a directory. */
  #namesIn(directory: string): string[] {
    const start = `${directory}/`;
    const paths = [...this.#files.keys(), ...this.#links.keys()].filter((path) => path.startsWith(start));
    return [...new Set(paths.map((path) => path.slice(start.length).split('/', 1)[0]!))];
  }
}

function ownFiles(machine: Machine): PathSource {
  const files: [string, FileOpener][] = [['/dev/kvm', () => new KvmDevice(machine)]];
  const { driverPath } = machine.platform;
  if (driverPath !== undefined) files.push([driverPath, () => new DriverFile()]);
  for (const [size, pool] of machine.hugePages) {
    for (const [counter, text] of Object.entries(countersOf(pool))) {
      files.push([hugePageFile(size, counter as HugePageCounter), textFile(text)]);
    }
  }
  return { files: () => files, links: () => [] };
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
