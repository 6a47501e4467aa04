/** A guest_memfd of 1 TiB on a mock, bound to memslots as VMMs have it, and cut into many ranges. */

import type { Host } from '../../lib/index.ts';
import type { ProfileName } from '../../lib/mock/index.ts';
import { loadAbi, loadHostParts, loadPackage } from './dist.ts';

const SIZE = 2 ** 40;
/** Where conversions go: so many ranges, drawn before anything is timed. */
const PLACES = 4096;

export interface CutFile {
  /** Converts this often: a random range to the other state, which joins it with its neighbours, and back. */
  convert(count: number): void;
  /** Bytes of heap for each range. */
  readonly heapBytesPerRange: number;
  close(): Promise<void>;
}

interface Prepared {
  readonly request: number;
  readonly struct: Uint8Array;
}

type State = 'private' | 'shared';

export async function cutFile(kernel: ProfileName, ranges: number, slots: number): Promise<CutFile> {
  const { openHost } = await loadPackage();
  const host = await openHost({ backend: 'mock', kernel });
  const vm = await host.createVm({ type: 'sw-protected' });
  const gmem = await vm.createGuestMemfd({ size: SIZE, mmap: true, initially: 'private' });
  const part = SIZE / slots;
  for (let slot = 0; slot < slots; slot++) {
    await vm.setMemoryRegion({ slot, guestPhysAddr: slot * part, size: part, gmem, gmemOffset: slot * part });
  }
  const prepare = await preparing(host);
  const { PAGE_SIZE } = await loadAbi();
  const stretch = Math.floor(SIZE / ranges / PAGE_SIZE) * PAGE_SIZE;
  const { syscalls } = host.raw;
  const { fd } = gmem;

  const issue = ({ request, struct }: Prepared): void => {
    const answer = syscalls.ioctlSync(fd, request, struct);
    if (answer !== 0) throw new Error(`the mock refused a conversion: ${answer}`);
  };
  const before = heapUsed(host);
  for (let range = 1; range < ranges; range += 2) issue(prepare(range * stretch, stretch, 'shared'));
  const heapBytesPerRange = (heapUsed(host) - before) / ranges;

  const calls = drawn(PLACES, ranges).flatMap((range) => {
    const states: readonly State[] = range % 2 === 0 ? ['shared', 'private'] : ['private', 'shared'];
    return states.map((to) => prepare(range * stretch, stretch, to));
  });
  let turn = 0;
  return {
    heapBytesPerRange,
    convert: (count) => {
      for (let i = 0; i < count; i++) issue(calls[turn++ % calls.length]!);
    },
    close: () => host.close(),
  };
}

/** Makes the ioctl of a conversion in the dialect of the mocked kernel. */
async function preparing(host: Host): Promise<(offset: number, size: number, to: State) => Prepared> {
  const { conversions } = await loadHostParts();
  const { dialect } = host.features;
  if (dialect === 'none') throw new Error('the mocked kernel converts nothing');
  const { call } = conversions[dialect];
  return (offset, size, to) => {
    const { ioctl, args } = call(BigInt(offset), BigInt(size), to);
    return { request: ioctl.request, struct: ioctl.struct?.encode(args) ?? new Uint8Array() };
  };
}

/** What is alive, without the journal, which is a record of the past. */
function heapUsed(host: Host): number {
  host.mock?.journal.clear();
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

/** Numbers below `limit` that look random and are the same in every run: Numerical Recipes' generator. */
function drawn(count: number, limit: number): number[] {
  let state = 1;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  });
}
