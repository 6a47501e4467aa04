/** A file that is only an argument of another file's call. */

import type { Context } from '../host/index.ts';

/** Keeps it open while `work` runs, if it is this host's: its number could become another file's before it is looked up. */
export function keepingOpen<T>(context: Context, fd: number, work: () => Promise<T>): Promise<T> {
  const owned = context.find(fd);
  return owned ? owned.use(work) : work();
}
