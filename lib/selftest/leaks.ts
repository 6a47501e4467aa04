/** What a case left behind: a leaked VM or guest_memfd keeps its memory, and falsifies the cases after it. */

import { readdirSync, readlinkSync } from 'node:fs';
import type { Host } from '../kvm/index.ts';
import type { Problem } from './outcome.ts';

/** How much of each kind there is. */
export type Holdings = ReadonlyMap<string, number>;

/** VMs, vCPUs, guest_memfds, /dev/kvm, memfds and devices; nothing of Node's own or of the backends. */
const OURS = /kvm|guest_memfd|^\/memfd:(?!guest-memfd-scratch)|^\/dev\/(iommu|vfio)/;

export function holdings({ mock }: Host): Holdings {
  if (!mock) return openFiles();
  return new Map([
    ['open files', mock.openFds],
    ['pages of memory', mock.pagesInUse],
    ['pages that the hardware has given to a guest', mock.guestPages],
  ]);
}

function openFiles(directory = '/proc/self/fd'): Holdings {
  const counts = new Map<string, number>();
  for (const fd of readdirSync(directory)) {
    const target = linkTarget(`${directory}/${fd}`);
    if (target !== undefined && OURS.test(target)) counts.set(target, (counts.get(target) ?? 0) + 1);
  }
  return counts;
}

function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    // The directory's own fd is in its listing, and closed by now.
    return undefined;
  }
}

export function leakProblem(before: Holdings, after: Holdings): Problem | undefined {
  const lines = [...after].flatMap(([kind, count]) => {
    const more = count - (before.get(kind) ?? 0);
    return more > 0 ? [`${kind}: ${more} more than before the case`] : [];
  });
  return lines.length > 0 ? { what: 'the case left something behind', lines } : undefined;
}
