/** What a confidential guest finds in its memory when it begins. */

import { checkBytes, checkOneOf, checkOptions, outOfRange, U64_MAX, wrongValue } from '../../abi/invalid.ts';
import { PAGE_SIZE } from '../../abi/linux.ts';
import { type SnpPageType, snpPageTypes } from '../../abi/sev.ts';
import { checkPages } from '../../host/index.ts';

/** Pages that must be private when they are launched, in a memory region with a guest_memfd. */
export interface LaunchRegion {
  /** A guest-physical address, whole pages. */
  readonly gpa: number | bigint;
  /** Bytes, whole pages; by default as many as `contents` needs. */
  readonly size?: number | bigint;
  /**
   * Bytes, with zeroes behind them up to the size; 'zero'; or 'in-place': what the pages hold already, on kernels that
   * convert in place. 'zero' by default.
   */
  readonly contents?: Uint8Array | 'zero' | 'in-place';
  /** What the SNP firmware makes of them; by default 'zero' where the contents are, else 'normal'. */
  readonly type?: SnpPageType;
  /** Whether a TD's measurement covers them; true by default. SNP measures by type. */
  readonly measured?: boolean;
}

export interface CheckedLaunchRegion {
  readonly gpa: bigint;
  readonly size: bigint;
  /** Undefined for 'zero' and 'in-place'. */
  readonly bytes: Uint8Array | undefined;
  readonly inPlace: boolean;
  readonly type: SnpPageType;
  readonly measured: boolean;
}

const PAGE = BigInt(PAGE_SIZE);
const TYPES = Object.keys(snpPageTypes) as SnpPageType[];

export function checkLaunchRegion(region: LaunchRegion, what = 'region'): CheckedLaunchRegion {
  const { contents = 'zero', measured = true } = checkOptions<LaunchRegion>(what, region, [
    'gpa',
    'size',
    'contents',
    'type',
    'measured',
  ]);
  const bytes = typeof contents === 'string' ? undefined : checkBytes(`${what}.contents`, contents);
  if (!bytes) checkOneOf(`${what}.contents`, contents as string, ['zero', 'in-place']);
  const { size: asked = bytes && roundUp(bytes.byteLength) } = region;
  if (asked === undefined) throw wrongValue(`${what}.size`, 'given where contents are no bytes', asked);
  const size = checkPages(`${what}.size`, asked, PAGE, U64_MAX);
  if (bytes && BigInt(bytes.byteLength) > size) {
    throw outOfRange(`${what}.contents`, `at most the ${size} bytes of the region`, bytes.byteLength);
  }
  const { type = contents === 'zero' ? 'zero' : 'normal' } = region;
  checkOneOf(`${what}.type`, type, TYPES);
  if (typeof measured !== 'boolean') throw wrongValue(`${what}.measured`, 'a boolean', measured);
  const gpa = checkPages(`${what}.gpa`, region.gpa, 0n, U64_MAX);
  return { gpa, size, bytes, inPlace: contents === 'in-place', type, measured };
}

const roundUp = (bytes: number): number => Math.max(1, Math.ceil(bytes / PAGE_SIZE)) * PAGE_SIZE;
