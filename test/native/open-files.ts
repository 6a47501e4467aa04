import { readdirSync, readlinkSync } from 'node:fs';

/** What a backend can have opened. The test runner opens and closes files, pipes and sockets as it likes. */
const KINDS = /^(\/memfd:|anon_inode:|\/dev\/kvm)/;

/** The process's open files of those kinds, by name and in order of name: numbers are given out again. */
export function openFiles(): string[] {
  const targets = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      // The listing's own fd is closed by now.
      return '';
    }
  });
  return targets.filter((target) => KINDS.test(target)).sort();
}
