/** KVM_X86_SW_PROTECTED_VM: private memory by KVM's word alone. Nothing guards a page. */

import { plainGuest } from './plain-guest.ts';
import type { Platform } from './platform.ts';
import { plain } from './scramble.ts';

export function softwareProtected(): Platform {
  return {
    name: 'software-protected',
    machineTypes: [],
    separateTables: false,
    keepsTranslations: false,
    machineCheck: undefined,
    createGuest: () => plainGuest,
    owner: () => undefined,
    reach: () => ({ outcome: 'reached' }),
    holds: () => true,
    seenOutside: plain,
    freed: () => {},
    ownedPages: 0,
  };
}
