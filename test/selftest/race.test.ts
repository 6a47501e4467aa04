/** What the recipe of races makes of what racers meet: each fault that it must notice, once. */

import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { GUEST_MEMFD_FLAG_MMAP } from '../../lib/abi/index.ts';
import { type Host, openHost } from '../../lib/kvm/index.ts';
import { type CaseResult, defineCase, runCase, select } from '../../lib/selftest/index.ts';
import { Race, type Racer } from '../../lib/selftest/race.ts';
import { convert, fileComesAndGoes, map, punch, touch } from '../../lib/selftest/race-steps.ts';
import { Scenario } from '../../lib/selftest/scenario.ts';

const PAGES = { first: 0, count: 2 };
let host: Host;

beforeAll(async () => {
  host = await openHost({ backend: 'mock', kernel: 'rfc-v2' });
});
afterAll(() => host.close());
afterEach(() => vi.unstubAllEnvs());

/** Runs a case with these racers on a file of two shared pages. */
async function race(
  racersOf: (race: Race, s: Scenario, t: Parameters<typeof convert>[0]) => Racer[],
): Promise<CaseResult> {
  const definition = defineCase({
    name: 'race',
    about: 'a race',
    async run(t) {
      const s = await Scenario.create(t, { pages: 2 });
      const race = new Race(t);
      await race.checkMemory(await race.run(racersOf(race, s, t)), 'afterwards');
    },
  });
  return runCase(host, select([definition])[0]!);
}

const cells = (s: Scenario) => ({ address: s.mapping.address, pages: PAGES, at: 0, length: 8 });
const problems = (result: CaseResult) => result.problems.flatMap(({ what, lines }) => [what, ...lines]).join('\n');

it('passes, and tells how often what happened', async () => {
  const result = await race(({ random }, s) => [
    { name: 'host', program: touch(random, cells(s)) },
    { name: 'maps', program: [map(s.gmem, PAGES)] },
  ]);
  expect(problems(result)).toBe('');
  expect(result.notes.join('\n')).toMatch(/seed \d+ .*0\.3 s[\s\S]*host: 240 steps; copyIn ok 120, copyOut ok 120/);
});

it('fails when a byte is lost, and says which', async () => {
  const result = await race(({ random }, s) => [
    { name: 'one', program: touch(random, cells(s)) },
    { name: 'holes', program: [punch(s.gmem, PAGES)] },
  ]);
  expect(problems(result)).toMatch(/one: what it wrote is there\nstep \d+, byte 0: wanted \d+\ngot {4}0/);
});

it('fails when a call is refused that may not be', async () => {
  const racers = (may: Racer['may']) => (_race: Race, s: Scenario, t: Parameters<typeof convert>[0]) => [
    { name: 'to private', program: [convert(t, s.gmem, { first: 2, count: 1 }, 'private')], may: may ?? [] },
  ];
  expect(problems(await race(racers([])))).toMatch(/step 0 \(ioctl\) answers\nwanted ok \ngot {4}EINVAL/);
  expect(problems(await race(racers(['EINVAL'])))).toBe('');
});

it('fails when what was written is not there afterwards', async () => {
  const result = await race(({ random }, s, t) => [
    { name: 'host', program: touch(random, cells(s)), may: ['EFAULT'] },
    // Late enough for something to be written by then.
    {
      name: 'to private',
      program: [...Array.from({ length: 40 }, () => map(s.gmem, PAGES)), convert(t, s.gmem, PAGES, 'private')],
      may: ['PARTLY'],
    },
  ]);
  expect(problems(result)).toContain('afterwards: bytes the host reads');
});

it('runs the same race again by its seed, and longer by its seconds', async () => {
  vi.stubEnv('GMEM_STRESS_SEED', '5');
  vi.stubEnv('GMEM_STRESS_SECONDS', '0.6');
  const once = () =>
    race(({ random }, s) => [
      { name: 'host', program: touch(random, { ...cells(s), zeroWillDo: true }).slice(0, 8), may: ['EFAULT'] },
      { name: 'files', program: fileComesAndGoes(s.vm, 3, 0x2_0000_0000n, GUEST_MEMFD_FLAG_MMAP) },
    ]);
  const first = await once();
  expect(problems(first)).toBe('');
  expect(first.notes[1]).toContain('host: 480 steps');
  expect((await once()).notes).toEqual(first.notes);
});

it.each(['-1', 'a while', '1e9'])('GMEM_STRESS_SECONDS=%s is refused', async (seconds) => {
  vi.stubEnv('GMEM_STRESS_SECONDS', seconds);
  expect(problems(await race(() => []))).toContain('GMEM_STRESS_SECONDS must be from 0 to 3600');
});
