/**
 * What holds of the mock between any two calls, as one function over the machine. It looks at everything, so a check
 * costs what the machine is large; `afterEveryCall()` thins checks out on large ones.
 */

import type { Machine } from '../kvm/index.ts';
import { balance } from './balance.ts';
import { close } from './close.ts';
import { devices } from './devices.ts';
import { folios } from './folios.ts';
import { guestTranslations } from './guest-translations.ts';
import { hardware } from './hardware.ts';
import { holders } from './holders.ts';
import { hostMappings } from './host-mappings.ts';
import { references } from './references.ts';
import type { Rule } from './rule.ts';
import { states } from './states.ts';

export { afterEveryCall } from './after-every-call.ts';

export const rules: readonly Rule[] = [
  states,
  folios,
  hostMappings,
  holders,
  references,
  guestTranslations,
  balance,
  hardware,
  devices,
  close,
];

/** Every violation, with its rule; nothing where all is well. */
export function violations(machine: Machine): string[] {
  return rules.flatMap((rule) => Array.from(rule.broken(machine), (what) => `${rule.name}: ${what}`));
}
