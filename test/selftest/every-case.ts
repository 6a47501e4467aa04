/**
 * The cases of `gmem selftest`, each a test: on every mocked kernel, every platform among them, and on this machine. A file
 * for each kernel calls it, so that they share the machine's processors. The other pairs run under `gmem selftest` itself.
 */

import { afterAll, beforeAll, describe, it } from 'vitest';
import { type Host, openHost } from '../../lib/kvm/index.ts';
import type { PlatformName, ProfileName } from '../../lib/mock/index.ts';
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

export const onMocked = (kernel: ProfileName, platform: PlatformName): void =>
  planGroups({ kernels: [kernel], platforms: [platform] }).forEach(everyCase);

/** Not asked for by name: a backend that cannot run here is one skipped test. */
export async function onThisMachine(): Promise<void> {
  for (const spec of planGroups({}).filter(({ backend }) => backend !== 'mock')) {
    const absent = await reasonAgainst(spec);
    if (absent === undefined) everyCase(spec);
    else describe(specName(spec), () => it('every case', ({ skip }) => skip(absent)));
  }
}

async function reasonAgainst(spec: GroupSpec): Promise<string | undefined> {
  try {
    await using _ = await openHost(hostOptions(spec));
    return undefined;
  } catch (error) {
    return whyAbsent(error);
  }
}

function everyCase(spec: GroupSpec): void {
  describe(specName(spec), () => {
    let host: Host;
    beforeAll(async () => {
      host = await openHost(hostOptions(spec));
    });
    afterAll(() => host.close());

    it.for(select(cases).map((entry) => [entry.title, entry] as const))('%s', async ([, entry], { skip }) => {
      const result = await runCase(host, entry, { timeout: 15_000 });
      if (result.outcome === 'skip') skip(result.reason);
      if (result.outcome !== 'pass') throw new Error([result.reason, ...result.problems.map(problemText)].join('\n'));
    });
  });
}
