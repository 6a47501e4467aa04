/** The designs that are compared: what the kernel does about devices at a conversion, and what that leaves to the VMM. */

import type { MapBy } from '../guest-ram/index.ts';
import { type IommuPolicy, iommuPolicies, type PlatformName } from '../mock/index.ts';

/**
 * The four policies with a VMM that converts first and does what it then must. `guest-ram` is today's kernel with a VMM
 * that unmaps first, as GuestRam does.
 */
export type DesignName = IommuPolicy | 'guest-ram';

export const designNames: readonly DesignName[] = [...iommuPolicies, 'guest-ram'];

/** The kernel's policy under a design. */
export const policyOf = (design: DesignName): IommuPolicy => (design === 'guest-ram' ? 'pin' : design);

/** Under `pin` only by its address; under the others by its file. */
export const mappedBy = (design: DesignName): MapBy => (policyOf(design) === 'pin' ? 'address' : 'file');

/** In what state a conversion to private leaves the mappings of its range. */
export type Aftermath =
  /** Pages, and nothing else, are unmapped; what is around them stays mapped. */
  | 'unmapped'
  /** Every area the range touches maps nothing any more, and must be unmapped and mapped anew. */
  | 'revoked'
  /** They still lead to the pages, and the VMM must unmap them. */
  | 'stale'
  /** They still lead to the pages, and the hardware sees to it that nobody gets there. */
  | 'kept';

/** `pin`: where it was not refused, nothing was mapped. */
const AFTERMATHS: Readonly<Record<IommuPolicy, Aftermath>> = {
  pin: 'unmapped',
  'trust-vmm': 'stale',
  notifier: 'unmapped',
  'revoke-area': 'revoked',
};

export const aftermathOf = (policy: IommuPolicy, platform: PlatformName): Aftermath =>
  policy === 'notifier' && platform === 'sev-snp' ? 'kept' : AFTERMATHS[policy];
