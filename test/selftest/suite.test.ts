import { describe, expect, it } from 'vitest';
import { openHost } from '../../lib/kvm/index.ts';
import {
  type AnyCase,
  type Case,
  defineCase,
  type GroupSpec,
  hostOptions,
  JsonReporter,
  KtapReporter,
  planGroups,
  runSuite,
  type SuiteOptions,
  select,
} from '../../lib/selftest/index.ts';
import { BackendUnavailableError } from '../../lib/syscalls/unavailable.ts';
import { parseKtap } from '../ktap/strict-parser.ts';

const make = (name: string, run: Case['run'], rest: Partial<Case> = {}): AnyCase =>
  defineCase({ name, about: `the rule of ${name}`, run, ...rest });
const good = make('good', async (t) => t.ok(true, ''));
const bad = make('bad', async (t) => t.equal(1, 2, 'one is two'));
const choosy = make('choosy', async (t) => t.ok(true, ''), { requires: { vmType: 'tdx' } });

const one = planGroups({ kernels: ['rfc-v2'] });
const open: SuiteOptions['open'] = (spec) => openHost(hostOptions(spec));

interface Ran {
  readonly text: string;
  readonly code: number;
}

async function run(cases: readonly AnyCase[], specs: readonly GroupSpec[] = one, options = {}): Promise<Ran> {
  let text = '';
  const reporter = new KtapReporter((line) => {
    text += line;
  }, true);
  const code = await runSuite(specs, select(cases), reporter, { open, ...options });
  return { text, code };
}

describe('KTAP', () => {
  it('is one group for each host, which says first what it is', async () => {
    const { text, code } = await run([good], planGroups({ kernels: ['linux-7.3', 'rfc-v2'] }));
    const { tests, totals } = parseKtap(text);
    expect(code).toBe(0);
    expect(tests.map(({ name }) => name)).toEqual([
      'mock linux-7.3 software-protected',
      'mock rfc-v2 software-protected',
    ]);
    expect(totals).toMatchObject({ pass: 2, fail: 0, skip: 0 });
    const [backend, kernel, dialect] = tests[1]!.tests![0]!.diagnostics;
    expect(backend).toMatch(/^# mock rfc-v2 software-protected: rfc-v2 on software-protected: .*asked for by name/);
    expect(kernel).toBe('# kernel 6.15.0-rc6, platform software-protected, VM types default, sw-protected');
    expect(dialect).toMatch(/^# conversion dialect rfc-convert: /);
  });

  it('shows the steps inside calls where they are asked for, and where they come from', async () => {
    const converts = make('converts', async (t) => {
      const vm = await t.vm('sw-protected');
      const gmem = await t.gmem(vm, { size: 0x4000, mmap: true, initially: 'shared' });
      t.succeeds(await gmem.tryConvert({ offset: 0x1000, size: 0x2000, to: 'private' }), 'converting');
    });
    const { text } = await run([converts, good], one, { journal: true });
    const [first, second] = parseKtap(text).tests[0]!.tests!;
    expect(first!.diagnostics[3]).toMatch(/^# steps inside calls: the mock's journal/);
    expect(first!.diagnostics.slice(4)).toEqual([
      '# steps:',
      expect.stringMatching(/^# {3}invalidate-begin {2}inode \d+ {2}0x1 to 0x3 {2}convert-to-private$/),
      expect.stringMatching(/^# {3}unmap-host {8}inode \d+ {2}0x1 to 0x3 {2}convert-to-private$/),
      expect.stringMatching(/^# {3}check-references {2}inode \d+ {2}0x1 to 0x3 {2}free$/),
      expect.stringMatching(/^# {3}set-shareability {2}inode \d+ {2}0x1 to 0x3 {2}private$/),
      expect.stringMatching(/^# {3}invalidate-end {4}inode \d+ {2}0x1 to 0x3 {2}convert-to-private$/),
      // The file is closed when the case ends.
      expect.stringMatching(/^# {3}invalidate-begin {2}inode \d+ {2}0x0 to 0x4 {2}release$/),
      expect.stringMatching(/^# {3}invalidate-end {4}inode \d+ {2}0x0 to 0x4 {2}release$/),
    ]);
    expect(second!.diagnostics).toEqual(['# steps: none']);
  });

  it('explains a failure before its result, and says how to see it again', async () => {
    const { text, code } = await run([good, make('bad', bad.run, { variants: { small: undefined } })]);
    expect(code).toBe(1);
    const failed = parseKtap(text).tests[0]!.tests![1]!;
    expect(failed).toMatchObject({ name: 'bad.small', ok: false });
    expect(failed.diagnostics).toEqual([
      '# one is two',
      '#   wanted 2',
      '#   got    1',
      '# what it tests: the rule of bad',
      '# to run it alone: gmem selftest --backend mock --kernel rfc-v2 --platform software-protected -t bad -v small',
    ]);
  });

  it('shows notes, skips with their reason, and cases that ran out of time', async () => {
    const slow = make('slow', () => new Promise(() => {}));
    const noted = make('noted', async (t) => {
      t.note('seen\ntwice');
      t.ok(true, '');
    });
    const { text, code } = await run([noted, choosy, slow], one, { timeout: 20 });
    const [first, second, third] = parseKtap(text).tests[0]!.tests!;
    expect(first!.diagnostics.slice(-2)).toEqual(['# seen', '# twice']);
    expect(second).toMatchObject({ ok: true, directive: 'SKIP', reason: expect.stringContaining('needs VM type tdx') });
    expect(third).toMatchObject({ ok: false, directive: 'TIMEOUT', reason: '0.02 s' });
    expect(code).toBe(1);
  });
});

describe('backends that do not work', () => {
  const broken: SuiteOptions['open'] = async (spec) => {
    if (spec.backend === 'mock') return openHost(hostOptions(spec));
    throw new BackendUnavailableError('native', ['no binary', 'no compiler'], ['build it', 'use ffi']);
  };
  const [native] = planGroups({}) as [GroupSpec];

  it('are a skipped group where nobody asked for them', async () => {
    const { text, code } = await run([good], [native, ...one], { open: broken });
    const { tests, totals } = parseKtap(text);
    expect(code).toBe(0);
    expect(tests[0]).toMatchObject({ name: 'native', ok: true, directive: 'SKIP' });
    expect(tests[0]!.reason).toBe('no binary; no compiler -> build it');
    expect(totals).toMatchObject({ pass: 1, skip: 1 });
  });

  it('are an error where somebody did', async () => {
    const { text, code } = await run([good], [{ ...native, required: true }, ...one], { open: broken });
    const { tests, totals } = parseKtap(text);
    expect(code).toBe(1);
    expect(tests[0]).toMatchObject({ name: 'native', ok: false, directive: 'ERROR' });
    expect(tests[1]).toMatchObject({ ok: true });
    expect(totals).toMatchObject({ pass: 1, error: 1 });
  });

  it('leave nothing to run when they are all there is', async () => {
    expect(await run([good], [native], { open: broken })).toEqual({
      text: 'KTAP version 1\n1..0 # SKIP native: no binary; no compiler -> build it\n',
      code: 4,
    });
  });
});

describe('when nothing can run', () => {
  it('says why in place of a plan', async () => {
    const { text, code } = await run([choosy]);
    expect(code).toBe(4);
    expect(text).toMatch(/^KTAP version 1\n1\.\.0 # SKIP needs VM type tdx; .*\n$/);
  });

  it('ends with 4 also when the cases find out by themselves', async () => {
    const { text, code } = await run([make('finds', async (t) => t.skip('none here'))]);
    expect(code).toBe(4);
    expect(parseKtap(text).tests[0]).toMatchObject({ directive: 'SKIP' });
  });
});

describe('stopping', () => {
  it('after the first failure, when asked', async () => {
    const { text, code } = await run([bad, good], one, { bail: true });
    expect(code).toBe(1);
    expect(parseKtap(text).tests[0]!.tests![1]).toMatchObject({
      directive: 'SKIP',
      reason: expect.stringContaining('--bail'),
    });
  });

  it('when interrupted, with a report that is whole', async () => {
    const stop = new AbortController();
    const interrupting = make('interrupting', async () => {
      stop.abort();
      await new Promise(() => {});
    });
    const { text, code } = await run([interrupting, good], planGroups({ kernels: ['linux-7.3', 'rfc-v2'] }), {
      signal: stop.signal,
    });
    expect(code).toBe(1);
    const [first, second] = parseKtap(text).tests;
    expect(first!.tests!.map(({ ok, directive }) => [ok, directive])).toEqual([
      [false, undefined],
      [true, 'SKIP'],
    ]);
    expect(second!.tests![0]).toMatchObject({ reason: 'not run: interrupted' });
  });
});

it('JSON lines say the same, and say it to a program', async () => {
  const lines: string[] = [];
  const reporter = new JsonReporter((line) => lines.push(line));
  const code = await runSuite(one, select([good, bad, choosy]), reporter, { open });
  const records = lines.map((line) => JSON.parse(line));
  expect(code).toBe(1);
  expect(records.map(({ type }) => type)).toEqual(['plan', 'group', 'case', 'case', 'case', 'totals']);
  expect(records[1]).toMatchObject({ name: 'mock rfc-v2 software-protected', dialect: 'rfc-convert', cases: 3 });
  expect(records[2]).toMatchObject({ name: 'good', outcome: 'pass', group: 'mock rfc-v2 software-protected' });
  expect(records[3]).toMatchObject({ outcome: 'fail', problems: [{ what: 'one is two' }] });
  expect(records[3].again).toContain('-t bad');
  expect(records[4]).toMatchObject({ outcome: 'skip', reason: expect.stringContaining('tdx') });
  expect(records[5]).toMatchObject({ pass: 1, fail: 1, skip: 1, exitCode: 1 });
});
