/** The cases of `gmem selftest`, on every kernel that can be had here: each mocked one on each platform, and the real one. */

import { afterAll, beforeAll, describe, it } from 'vitest';
import { type Host, openHost } from '../../lib/kvm/index.ts';
import { platformNames, profileNames } from '../../lib/mock/index.ts';
import { cases } from '../../lib/selftest/cases/index.ts';
import {
  hostOptions,
  planGroups,
  problemText,
  runCase,
  select,
  specName,
  whyAbsent,
} from '../../lib/selftest/index.ts';

const groups = [
  // Not asked for by name: they are skipped where they cannot run.
  ...planGroups({}).filter(({ backend }) => backend !== 'mock'),
  ...planGroups({ kernels: profileNames, platforms: platformNames }),
];

describe.each(groups.map((spec) => [specName(spec), spec] as const))('%s', (_, spec) => {
  let host: Host | undefined;
  let absent = '';

  beforeAll(async () => {
    try {
      host = await openHost(hostOptions(spec));
    } catch (error) {
      if (spec.required) throw error;
      absent = whyAbsent(error);
    }
  });

  afterAll(() => host?.close());

  it.for(select(cases).map((entry) => [entry.title, entry] as const))('%s', async ([, entry], { skip }) => {
    if (!host) return skip(absent);
    const result = await runCase(host, entry, { timeout: 15_000 });
    if (result.outcome === 'skip') skip(result.reason);
    if (result.outcome !== 'pass') throw new Error([result.reason, ...result.problems.map(problemText)].join('\n'));
  });
});
