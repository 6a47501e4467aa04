/** One of each object the typed API makes, on a watched mock. */

import type { MockOptions } from '../../../lib/mock/index.ts';
import { openWatched } from './hosts.ts';
import type { Answers } from './seam.ts';

export const PAGE = 0x1000;
export const SIZE = 4 * PAGE;

export async function makeObjects(options: MockOptions = { kernel: 'rfc-v2' }, answers: Answers = {}) {
  const watched = await openWatched(options, answers);
  const { host } = watched;
  const vm = await host.createVm();
  const gmem = await vm.createGuestMemfd({ size: SIZE, mmap: true, initially: 'shared' });
  const mapping = await gmem.map();
  const region = await vm.setMemoryRegion({ slot: 0, guestPhysAddr: 0, size: SIZE, gmem, userspaceAddr: mapping });
  watched.calls.length = 0;
  return { ...watched, host, raw: host.raw, vm, gmem, mapping, region };
}

export type Objects = Awaited<ReturnType<typeof makeObjects>>;
export type ObjectName = 'host' | 'raw' | 'vm' | 'gmem' | 'mapping' | 'region';
export const OBJECT_NAMES: readonly ObjectName[] = ['host', 'raw', 'vm', 'gmem', 'mapping', 'region'];
