/** Directories and links of the mocked machine: there are none yet, so nothing is found. */

import { errno } from '../abi/errno.ts';
import { checkText } from '../syscalls/arguments.ts';
import { type PathSyscalls, withPathTwins } from '../syscalls/paths.ts';

const missing = (path: string): number => {
  checkText('path', path);
  return -errno.ENOENT;
};

export const pathCalls = (): PathSyscalls => withPathTwins({ readDirectory: missing, readLink: missing });
