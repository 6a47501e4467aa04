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
