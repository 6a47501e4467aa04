/** The fixture's sentences: true ones hold on every kernel that converts in place, and false ones are found out. */

import { describe, expect, it } from 'vitest';
import { openHost } from '../../lib/kvm/index.ts';
import {
  type Case,
  type CaseResult,
  defineCase,
  hostOptions,
  planGroups,
  runCase,
  select,
} from '../../lib/selftest/index.ts';
import { Scenario, type ScenarioOptions } from '../../lib/selftest/scenario.ts';

const A = 0x41;
const B = 0x42;
const C = 0x43;
const D = 0x44;

type Story = (scenario: Scenario) => Promise<void>;

async function tell(
  spec: Parameters<typeof hostOptions>[0],
  options: ScenarioOptions,
  story: Story,
): Promise<CaseResult> {
  const requires = { vmType: 'private', guest: true, pins: true } as const;
  const run: Case['run'] = async (t) => story(await Scenario.create(t, options));
  const [entry] = select([defineCase({ name: 'story', about: 'a story', requires, run })]);
  await using host = await openHost(hostOptions(spec));
  return await runCase(host, entry!);
}

const inPlace = planGroups({ kernels: ['rfc-v2', 'inplace-v13'], platforms: ['software-protected', 'sev-snp', 'tdx'] });

describe.each(inPlace.map((spec) => [`${spec.kernel} on ${spec.platform}`, spec] as const))('%s', (_, spec) => {
  it.each<[string, ScenarioOptions, Story]>([
    [
      'shared, private, shared again',
      { pages: 1 },
      async (s) => {
        await s.isShared(0, 0, A, B);
        await s.turnsPrivate(0, B, C);
        await s.turnsShared(0, C, D, A);
      },
    ],
    [
      'private from the start',
      { pages: 1, initially: 'private' },
      async (s) => {
        await s.isPrivate(0, 0, A);
        await s.turnsShared(0, A, B, C);
      },
    ],
    [
      'one page of four',
      { pages: 4 },
      async (s) => {
        for (const page of [0, 1, 2, 3]) await s.isShared(page, 0, A, B);
        await s.turnsPrivate(2, B, C);
        for (const page of [0, 1, 3]) await s.isShared(page, B, C, D);
        await s.isPrivate(2, C, D);
      },
    ],
    [
      'a referenced page blocks the whole range, until it is let go',
      { pages: 4 },
      async (s) => {
        for (const page of [0, 1, 2, 3]) await s.isShared(page, 0, A, B);
        const pin = s.pin(2);
        await s.convertIsBlocked(2);
        for (const page of [0, 1, 2, 3]) await s.isShared(page, B, A, B);
        pin.release();
        await s.convert('private');
        for (const page of [0, 1, 2, 3]) await s.isPrivate(page, B, C);
      },
    ],
    [
      'a hole keeps the state and drops the contents',
      { pages: 2 },
      async (s) => {
        await s.isShared(0, 0, A, B);
        await s.punch();
        await s.isShared(0, 0, A, B);
        await s.turnsPrivate(0, B, C);
        await s.punch(0, 1);
        await s.isPrivate(0, 'any', C);
      },
    ],
  ])('%s', async (_name, options, story) => {
    const { outcome, problems } = await tell(spec, options, story);
    expect({ outcome, problems }).toEqual({ outcome: 'pass', problems: [] });
  });

  it.each<[string, ScenarioOptions, Story, RegExp]>([
    [
      'a private page called shared',
      { pages: 1, initially: 'private' },
      (s) => s.isShared(0, 0, A, B),
      /^host reads page 0/,
    ],
    ['a shared page called private', { pages: 1 }, (s) => s.isPrivate(0, 0, A), /^host reads private page 0/],
    ['another byte for the host', { pages: 1 }, (s) => s.hostUses(0, A, B), /^the host finds on page 0/],
    ['another byte for the guest', { pages: 1 }, (s) => s.guestUses(0, A, B), /^the guest finds on page 0/],
    [
      'a conversion that nothing blocks',
      { pages: 1 },
      async (s) => {
        await s.hostUses(0, 0, A);
        await s.convertIsBlocked(0);
      },
      /^converting pages 0\+1 to private while page 0 is referenced/,
    ],
    [
      'the wrong page to blame',
      { pages: 2 },
      async (s) => {
        s.pin(0);
        await s.convertIsBlocked(1);
      },
      /error_offset$/,
    ],
  ])('finds out %s', async (_name, options, story, what) => {
    const { outcome, problems } = await tell(spec, options, story);
    expect(outcome).toBe('fail');
    expect(problems[0]?.what).toMatch(what);
  });
});
