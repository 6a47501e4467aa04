/** Host or device reaches for a page: what comes of it, on record. */

import type { Journal } from '../journal.ts';
import type { Folio } from '../memory.ts';
import type { OutsideAccess, Platform, Reach } from './platform.ts';

/** For the record: whose page it is, as the journal names its targets, and its number there. */
export interface Where {
  readonly target: string;
  readonly page: number;
}

/** As `platform.reach()`; whatever is not a plain access is a hazard in the journal, and a machine check stays. */
export function reachOutside(
  { platform, journal }: { readonly platform: Platform; readonly journal: Journal },
  folio: Folio,
  access: OutsideAccess,
  { target, page }: Where,
): Reach {
  const reach = platform.reach(folio, access);
  if (reach.outcome === 'reached') return reach;
  if (reach.outcome === 'machine-check') platform.machineCheck ??= reach.cause;
  journal.record('hazard', target, page, page + 1, undefined, describe(access, reach));
  return reach;
}

/**
 * A device that the guest has accepted reaches for a page: what the guest has as private memory, and nothing else, as
 * the RMP and the S-EPT have it.
 */
export function reachInside(platform: Platform, folio: Folio): Reach {
  if (platform.holds(folio)) return { outcome: 'reached' };
  return { outcome: 'blocked', fault: 'the guest does not have the page as private memory' };
}

function describe({ by, write }: OutsideAccess, reach: Exclude<Reach, { outcome: 'reached' }>): string {
  const what = `${by} ${write ? 'writes' : 'reads'}`;
  switch (reach.outcome) {
    case 'ciphertext':
      return `${what} ciphertext`;
    case 'blocked':
      return `${what}: ${reach.fault}`;
    case 'machine-check':
      return `${what}: machine check, ${reach.cause}`;
  }
}
