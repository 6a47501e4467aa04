/** What host, guest and devices really see, held against what they should. */

import { checkOneOf, checkOptions } from '../abi/invalid.ts';
import { PAGE_SIZE } from '../abi/linux.ts';
import type { PageState } from '../guest-memfd/index.ts';
import type { Guest } from '../kvm/index.ts';
import type { DmaPiece } from './dma-space.ts';
import type { StateRun } from './page-states.ts';
import type { Ram } from './ram.ts';

/** Reads by DMA; undefined where the device may not. */
export type DeviceRead = (iova: bigint, length: number) => Promise<Uint8Array | undefined>;

/** Reads as the guest does, which takes the memory for shared or private; undefined where it cannot. */
export type GuestRead = (gpa: bigint, length: number, state: PageState) => Promise<Uint8Array | undefined>;

export interface CheckOptions {
  /**
   * Looks at pages from inside: finds on a shared one what the host finds, and can read a private one. A guest that
   * takes no requests, once it is launched (snp, tdx), needs a program of its own that reads.
   */
  readonly guest?: Guest | GuestRead;
  /** Looks at pages through the attached spaces. */
  readonly device?: DeviceRead;
  /** `ends`, the default: the first and the last page of every run. `all`: every page. */
  readonly pages?: 'ends' | 'all';
}

/** Somebody sees a page otherwise than its state says. */
export interface Discrepancy {
  readonly who: 'host' | 'guest' | 'device' | 'space';
  /** Bytes from the start of the memory. */
  readonly offset: bigint;
  readonly state: PageState;
  readonly found: string;
}

/** As much of a page as is compared: enough to tell pages apart that somebody wrote to. */
const SAMPLE = 64;

export async function compareViews(ram: Ram, options: CheckOptions): Promise<Discrepancy[]> {
  checkOptions('options', options, ['guest', 'device', 'pages']);
  const every = checkOneOf('options.pages', options.pages ?? 'ends', ['ends', 'all']) === 'all';
  const found: Discrepancy[] = [];
  for (const run of ram.states.within(0n, ram.size)) {
    for (const offset of pagesOf(run, every)) await comparePage(ram, { offset, state: run.state }, options, found);
  }
  return found;
}

function* pagesOf({ offset, size }: StateRun, every: boolean): Generator<bigint> {
  const last = offset + size - BigInt(PAGE_SIZE);
  const step = every ? BigInt(PAGE_SIZE) : last - offset || 1n;
  for (let at = offset; at <= last; at += step) yield at;
}

interface Page {
  readonly offset: bigint;
  readonly state: PageState;
}

async function comparePage(ram: Ram, page: Page, { guest, device }: CheckOptions, found: Discrepancy[]): Promise<void> {
  const report = (who: Discrepancy['who'], what: string): void => {
    found.push({ who, ...page, found: what });
  };
  const host = await hostSees(ram, page, (what) => report('host', what));
  for (const place of ram.placement.within(page.offset, page.offset + BigInt(PAGE_SIZE))) {
    await spacesHold(ram, page, place, (what) => report('space', what));
    if (guest) await guestSees(guest, page, place.iova, host, (what) => report('guest', what));
    if (device) await deviceSees(ram, page, await device(place.iova, SAMPLE), host, (what) => report('device', what));
  }
}

/** The bytes the host reads, where it may. */
async function hostSees(
  { backing }: Ram,
  { offset, state }: Page,
  report: (what: string) => void,
): Promise<Uint8Array | undefined> {
  const seen = await backing.mapping.tryRead(Number(offset), SAMPLE);
  if (state === 'shared' && !seen.ok) report(`cannot read it: ${seen.code}`);
  // With two backings what the host sees of a private page is another page, and harmless.
  if (state === 'private' && seen.ok && backing.isOneFile) report('can read it');
  return state === 'shared' && seen.ok ? seen.value : undefined;
}

async function guestSees(
  guest: Guest | GuestRead,
  { state }: Page,
  at: bigint,
  host: Uint8Array | undefined,
  report: (what: string) => void,
): Promise<void> {
  const seen = typeof guest === 'function' ? await guest(at, SAMPLE, state) : await bytesFor(guest, at);
  if (!seen) report('cannot read it');
  else if (host && !same(seen, host)) report('reads other bytes than the host');
}

async function bytesFor(guest: Guest, at: bigint): Promise<Uint8Array | undefined> {
  const seen = await guest.read(at, SAMPLE);
  return seen.ok ? seen.bytes : undefined;
}

async function spacesHold(ram: Ram, { state }: Page, page: DmaPiece, report: (what: string) => void): Promise<void> {
  for (const { space, holds } of ram.attachments) {
    const mapped = await space.isMapped?.(page);
    if (mapped === undefined || mapped === (holds === state)) continue;
    report(mapped ? `${space.title} still maps it` : `${space.title} does not map it`);
  }
}

async function deviceSees(
  ram: Ram,
  { state }: Page,
  seen: Uint8Array | undefined,
  host: Uint8Array | undefined,
  report: (what: string) => void,
): Promise<void> {
  const mayRead = ram.attachments.some(({ holds }) => holds === state);
  if (mayRead && !seen) report('cannot read it');
  if (!mayRead && seen) report('can read it');
  if (mayRead && seen && host && !same(seen, host)) report('reads other bytes than the host');
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
