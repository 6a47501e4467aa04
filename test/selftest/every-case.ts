/**
 * The cases of `gmem selftest`, each a test: on each mocked kernel and platform, and on this machine's kernel. A file for
 * each kernel calls it, so that they share the machine's processors.
 */

import { afterAll, beforeAll, describe, it } from 'vitest';
import { type Host, openHost } from '../../lib/kvm/index.ts';
import { type ProfileName, platformNames } from '../../lib/mock/index.ts';
import { cases } from '../../lib/selftest/cases/index.ts';
import {
  type GroupSpec,
  hostOptions,
  planGroups,
  problemText,
  runCase,
  select,
  specName,
  whyAbsent,
} from '../../lib/selftest/index.ts';

export const onMocked = (kernel: ProfileName): void =>
  everyCase(planGroups({ kernels: [kernel], platforms: platformNames }));

/** Not asked for by name: they are skipped where they cannot run. */
export const onThisMachine = (): void => everyCase(planGroups({}).filter(({ backend }) => backend !== 'mock'));

function everyCase(groups: readonly GroupSpec[]): void {
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
}
