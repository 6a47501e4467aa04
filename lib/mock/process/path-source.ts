/** A part of the kernel that has files: device nodes, sysfs. What there is may change from call to call. */

import type { MockFile } from './file.ts';

/** Opens a file with these flags: the file, or -errno. */
export type FileOpener = (flags: number) => MockFile | number;

export interface PathSource {
  /** How the file of each path is opened: the file, or -errno. */
  files(): Iterable<readonly [path: string, open: FileOpener]>;
  /** Where each link leads, as readlink(2) says it. */
  links(): Iterable<readonly [path: string, target: string]>;
}
