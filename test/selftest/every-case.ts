/**
 * The cases of `gmem selftest`, each a test: on every mocked kernel, every platform among them, and on this machine. A file
 * for each kernel calls it, so that they share the machine's processors. The other pairs run under `gmem selftest` itself.
 */

import { afterAll, beforeAll, describe, it } from 'vitest';
import { type Host, openHost } from '../../lib/kvm/index.ts';
import type { PlatformName, ProfileName } from '../../lib/mock/index.ts';
import { cases } from '../../lib/selftest/cases/index.ts';
import {
  type Entry,
  type GroupSpec,
  hostOptions,
  planGroups,
  problemText,
  requirements,
  runCase,
  select,
  specName,
  whyAbsent,
} from '../../lib/selftest/index.ts';
import { unmet } from '../../lib/selftest/unmet.ts';

export async function onMocked(kernel: ProfileName, platform: PlatformName): Promise<void> {
  for (const spec of planGroups({ kernels: [kernel], platforms: [platform] })) await everyCase(spec);
}

/** Not asked for by name: a backend that cannot run here is one skipped test. */
export async function onThisMachine(): Promise<void> {
  for (const spec of planGroups({}).filter(({ backend }) => backend !== 'mock')) {
    const absent = await reasonAgainst(spec);
    if (absent === undefined) await everyCase(spec);
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

/** What cannot run there is known before, and one skipped test for all that lacks the same. */
async function everyCase(spec: GroupSpec): Promise<void> {
  const { able, lacking } = await sorted(spec);
  describe(specName(spec), () => {
    let host: Host;
    beforeAll(async () => {
      host = await openHost(hostOptions(spec));
    });
    afterAll(() => host.close());

    it.for(able.map((entry) => [entry.title, entry] as const))('%s', async ([, entry], { skip }) => {
      const result = await runCase(host, entry, { timeout: 15_000 });
      if (result.outcome === 'skip') skip(result.reason);
      if (result.outcome !== 'pass') throw new Error([result.reason, ...result.problems.map(problemText)].join('\n'));
    });
    for (const [reason, entries] of lacking) it(named(entries), ({ skip }) => skip(reason));
  });
}

async function sorted(spec: GroupSpec): Promise<{ able: Entry[]; lacking: Map<string, Entry[]> }> {
  await using host = await openHost(hostOptions(spec));
  const able: Entry[] = [];
  const lacking = new Map<string, Entry[]>();
  for (const entry of select(cases)) {
    const reason = unmet(requirements(entry.definition, entry.value), host);
    if (reason === undefined) able.push(entry);
    else lacking.set(reason, [...(lacking.get(reason) ?? []), entry]);
  }
  return { able, lacking };
}

/** Each case by its name, and how many of its variants. */
function named(entries: readonly Entry[]): string {
  const counts = new Map<string, number>();
  for (const { definition } of entries) counts.set(definition.name, (counts.get(definition.name) ?? 0) + 1);
  return Array.from(counts, ([name, count]) => (count > 1 ? `${name} (${count})` : name)).join(', ');
}
