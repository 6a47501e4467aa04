/** Calls on paths for both backends that call a kernel: Node has them, and its errors know the errno. */

import { readdirSync, readlinkSync } from 'node:fs';
import { errno } from '../abi/errno.ts';
import { checkText } from './arguments.ts';
import type { PathCalls, Syscalls } from './seam.ts';

/** Node's answer, or -errno of what it threw. */
function orErrno<T>(call: () => T): T | number {
  try {
    return call();
  } catch (error) {
    return (error as NodeJS.ErrnoException).errno ?? -errno.EIO;
  }
}

const calls: PathCalls = {
  readDirectory: (path) => {
    checkText('path', path);
    return orErrno(() => readdirSync(path));
  },
  readLink: (path) => {
    checkText('path', path);
    return orErrno(() => readlinkSync(path));
  },
};

export type PathSyscalls = Pick<Syscalls, 'readDirectory' | 'readDirectorySync' | 'readLink' | 'readLinkSync'>;

/** With the asynchronous twin of each, which is made when it is issued. */
export function withPathTwins({ readDirectory, readLink }: PathCalls): PathSyscalls {
  return {
    readDirectorySync: readDirectory,
    readDirectory: async (path) => readDirectory(path),
    readLinkSync: readLink,
    readLink: async (path) => readLink(path),
  };
}

export const pathCalls: PathSyscalls = withPathTwins(calls);
