/** kvm.gmem_in_place_conversion, on and off: two kernels that the plan of a run does not have. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Host, openHost } from '../../lib/kvm/index.ts';
import { platformNames } from '../../lib/mock/index.ts';
import { cases as capabilities } from '../../lib/selftest/cases/capabilities.ts';
import { cases as features } from '../../lib/selftest/cases/features.ts';
import { cases as flags } from '../../lib/selftest/cases/flags.ts';
import { cases as guestBacking } from '../../lib/selftest/cases/guest-backing.ts';
import { cases as memoryAttributes } from '../../lib/selftest/cases/memory-attributes.ts';
import { cases as requests } from '../../lib/selftest/cases/requests.ts';
import { runCase, select } from '../../lib/selftest/index.ts';

const cases = [...flags, ...features, ...capabilities, ...memoryAttributes, ...requests, ...guestBacking];
const parameters = [true, false].flatMap((on) => platformNames.map((platform) => ({ on, platform })));

describe.each(parameters)('gmem_in_place_conversion=$on on $platform', ({ on, platform }) => {
  let host: Host;

  beforeAll(async () => {
    host = await openHost({ backend: 'mock', kernel: 'inplace-v13', platform, gmemInPlaceConversion: on });
  });

  afterAll(() => host.close());

  it('is found by the probe', () => {
    expect(host.features.dialect).toBe(on ? 'attributes2' : 'vm-attributes');
  });

  it.for(select(cases).map((entry) => [entry.title, entry] as const))('%s', async ([, entry], { skip }) => {
    const { outcome, reason, problems } = await runCase(host, entry);
    if (outcome === 'skip') skip(reason);
    expect({ outcome, problems }).toEqual({ outcome: 'pass', problems: [] });
  });
});
