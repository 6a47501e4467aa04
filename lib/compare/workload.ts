/** What a guest asks of its memory, as data: the same requests for every policy, platform and kernel. */

import { PAGE_SIZE } from '../abi/linux.ts';
import type { PageState } from '../guest-memfd/index.ts';
import { RangeMap } from '../ranges/index.ts';
import { Random } from '../syscalls/random.ts';

/** KVM_HC_MAP_GPA_RANGE: pages from the start of the memory. */
export interface GuestRequest {
  readonly start: number;
  readonly end: number;
  readonly to: PageState;
}

export const workloadNames = ['boot', 'steady'] as const;
export type WorkloadName = (typeof workloadNames)[number];

export interface WorkloadOptions {
  /** Bytes. */
  readonly size: number;
  /** How many small conversions there are in it. */
  readonly conversions: number;
  readonly seed: number;
}

/** Memory is all private when a workload begins. */
export function workload(name: WorkloadName, { size, conversions, seed }: WorkloadOptions): GuestRequest[] {
  const random = new Random(seed);
  const pages = size / PAGE_SIZE;
  return name === 'boot' ? boot(pages, conversions, random) : steady(pages, conversions, random);
}

const FIRMWARE_AREAS = 4;
const FIRMWARE_PAGES = 16;
const LARGEST_RING = 64;

/**
 * A guest boots: its firmware shares a few small areas at the bottom and takes them back, its kernel shares bounce
 * buffers, an eighth of the memory each, its drivers share rings above them, and in the end it shrinks the buffers from
 * the middle.
 */
function boot(pages: number, rings: number, random: Random): GuestRequest[] {
  const eighth = pages / 8;
  const firmware = Array.from({ length: FIRMWARE_AREAS }, (_, i) => {
    const start = i * 2 * FIRMWARE_PAGES + random.below(FIRMWARE_PAGES);
    return { start, end: start + FIRMWARE_PAGES };
  });
  const buffers = [2, 4].map((nth) => ({ start: nth * eighth, end: (nth + 1) * eighth }));
  const ring = (): GuestRequest => {
    const length = 1 + random.below(LARGEST_RING);
    const start = 6 * eighth + random.below(2 * eighth - length);
    return { start, end: start + length, to: 'shared' };
  };
  const shrunk = buffers.map(({ start }) => {
    const from = start + eighth / 4 + random.below(eighth / 4);
    return { start: from, end: from + eighth / 4 };
  });
  return [
    ...to('shared', firmware),
    ...to('private', firmware),
    ...to('shared', buffers),
    ...Array.from({ length: rings }, ring),
    ...to('private', shrunk),
  ];
}

const to = (state: PageState, ranges: readonly { start: number; end: number }[]): GuestRequest[] =>
  ranges.map((range) => ({ ...range, to: state }));

const LARGEST_CONVERSION = 64;

/** A guest at work: of a shared quarter of its memory it takes a few pages at a time and gives them back. */
function steady(pages: number, conversions: number, random: Random): GuestRequest[] {
  const shared = { start: pages / 4, end: pages / 2 };
  const states = new RangeMap<PageState>('shared');
  const requests: GuestRequest[] = [{ ...shared, to: 'shared' }];
  for (let i = 0; i < conversions; i++) {
    const length = 1 + random.below(LARGEST_CONVERSION);
    const start = shared.start + random.below(shared.end - shared.start - length);
    const to = states.get(start) === 'shared' ? 'private' : 'shared';
    states.set(start, start + length, to);
    requests.push({ start, end: start + length, to });
  }
  return requests;
}
