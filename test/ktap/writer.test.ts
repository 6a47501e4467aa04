import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { exitCode, KtapWriter, type Outcome } from '../../lib/ktap/index.ts';
import { parseKtap } from './strict-parser.ts';

const golden = (name: string) => readFileSync(new URL(`golden/${name}.ktap`, import.meta.url), 'utf8');

function written(body: (ktap: KtapWriter) => void, options = {}): string {
  let text = '';
  body(
    new KtapWriter((line) => {
      expect(line.endsWith('\n') && line.indexOf('\n') === line.length - 1, 'one call is one line').toBe(true);
      text += line;
    }, options),
  );
  return text;
}

function everyOutcome(ktap: KtapWriter): void {
  ktap.plan(7);
  ktap.diagnostic('what was seen\nover two lines');
  ktap.result('passes');
  ktap.result('fails', 'fail');
  ktap.result('skipped', 'skip', 'needs KVM_CAP_GUEST_MEMFD');
  ktap.result('known', 'xfail', 'fixed in 7.4');
  ktap.result('surprise', 'xpass', 'listed as a known failure');
  ktap.result('slow', 'timeout', '45 s');
  ktap.result('broken', 'error', 'the fixture failed');
  ktap.end();
}

function nested(ktap: KtapWriter): void {
  ktap.plan(4);
  const good = ktap.group('good', 2);
  good.result('one');
  good.result('two', 'skip', 'not here');
  good.end();
  const bad = ktap.group('bad', 2);
  const deep = bad.group('deep', 1);
  deep.diagnostic('wanted 1, got 2');
  deep.result('leaf', 'fail');
  deep.end();
  bad.result('leaf two');
  bad.end();
  const idle = ktap.group('idle', 1);
  idle.result('nothing', 'skip', 'not here');
  idle.end();
  ktap.result('absent', 'skip', 'no such backend');
  ktap.end();
}

describe('golden files', () => {
  it.each([
    ['outcomes', everyOutcome],
    ['nested', nested],
    ['nothing', (ktap: KtapWriter) => ktap.skipAll('no /dev/kvm\nand no mock')],
  ] as const)('%s', (name, body) => {
    const text = written(body);
    expect(text).toBe(golden(name));
    parseKtap(text);
  });
});

describe('the writer', () => {
  it('leaves the version line to kselftest when asked, but not those of nested groups', () => {
    const text = written(nested, { header: false });
    expect(text.startsWith('1..4\n')).toBe(true);
    expect(`KTAP version 1\n${text}`).toBe(golden('nested'));
  });

  it('keeps names and reasons to one line without a hash sign', () => {
    const text = written((ktap) => {
      ktap.plan(2);
      ktap.result('case #3\r\nsecond line', 'pass');
      ktap.result('skipped', 'skip', 'see # SKIP\u2028there');
      ktap.end();
    });
    const { tests } = parseKtap(text);
    expect(tests.map((test) => test.name)).toEqual(['case _3; second line', 'skipped']);
    expect(tests[1]).toMatchObject({ directive: 'SKIP', reason: 'see _ SKIP; there' });
  });

  it('does not let a diagnostic open a nested test', () => {
    const text = written((ktap) => {
      ktap.plan(1);
      ktap.diagnostic('Subtest: mine\n\n1..7\nok 1 not a result');
      ktap.result('only');
      ktap.end();
    });
    expect(parseKtap(text).tests[0]?.diagnostics).toEqual(['#  Subtest: mine', '#', '# 1..7', '# ok 1 not a result']);
  });

  it('reports a plan that was not kept as an error', () => {
    let totals: ReturnType<KtapWriter['end']> | undefined;
    const text = written((ktap) => {
      ktap.plan(3);
      ktap.result('one');
      totals = ktap.end();
    });
    expect(text).toContain('# Planned tests != run tests (3 != 1)\n');
    expect(totals).toMatchObject({ pass: 1, error: 1 });
  });

  it('refuses what would break the stream', () => {
    written((ktap) => {
      expect(() => ktap.result('early')).toThrow('the plan comes before');
      ktap.plan(2);
      expect(() => ktap.plan(2)).toThrow('one plan');
      expect(() => ktap.skipAll('late')).toThrow('one plan');
      const group = ktap.group('group', 1);
      expect(() => ktap.result('inside')).toThrow('still open');
      expect(() => ktap.end()).toThrow('still open');
      group.result('one');
      group.end();
      expect(() => group.result('after')).toThrow('has ended');
      ktap.result('two');
      ktap.end();
      expect(() => ktap.end()).toThrow('has ended');
    });
  });
});

describe('exit codes', () => {
  const none = { pass: 0, fail: 0, xfail: 0, xpass: 0, skip: 0, error: 0 };
  it.each([
    [{ pass: 1, skip: 9 }, 0],
    [{ xfail: 1 }, 0],
    [{ pass: 9, fail: 1 }, 1],
    [{ pass: 9, error: 1 }, 1],
    [{ pass: 9, xpass: 1 }, 1],
    [{ skip: 9 }, 4],
    [{}, 4],
  ])('%o gives %i', (totals, code) => {
    expect(exitCode({ ...none, ...totals })).toBe(code);
  });
});

interface Tree {
  readonly name: string;
  readonly outcome: Outcome;
  readonly text: string;
  readonly tests?: readonly Tree[];
}

const outcomes = ['pass', 'fail', 'skip', 'xfail', 'xpass', 'timeout', 'error'] as const;
const text = fc.string({
  unit: fc.constantFrom('a', ' ', '#', '\n', '-', '1', '.', 'ok 1 x', '1..2', 'KTAP version 1', 'SKIP'),
});
const { forest } = fc.letrec<{ forest: Tree[]; tree: Tree }>((tie) => ({
  forest: fc.array(tie('tree'), { maxLength: 4 }),
  tree: fc.record(
    { name: text, outcome: fc.constantFrom(...outcomes), text, tests: tie('forest') },
    { requiredKeys: ['name', 'outcome', 'text'] },
  ),
}));

function writeForest(ktap: KtapWriter, trees: readonly Tree[]): void {
  for (const tree of trees) {
    ktap.diagnostic(tree.text);
    if (tree.tests) {
      const group = ktap.group(tree.name, tree.tests.length);
      writeForest(group, tree.tests);
      group.end();
    } else ktap.result(tree.name, tree.outcome, tree.text);
  }
}

const leaves = (trees: readonly Tree[]): Tree[] => trees.flatMap((tree) => (tree.tests ? leaves(tree.tests) : [tree]));

it('any tree of results reads back with its shape and its totals', () => {
  fc.assert(
    fc.property(forest, (trees) => {
      const output = written((ktap) => {
        ktap.plan(trees.length);
        writeForest(ktap, trees);
        ktap.end();
      });
      const level = parseKtap(output);
      const shape = (tests: readonly { tests?: readonly unknown[] | undefined }[]): unknown =>
        tests.map((test) => (test.tests ? shape(test.tests as never) : 'leaf'));
      expect(shape(level.tests)).toEqual(shape(trees));
      const counted = Object.values(level.totals ?? {}).reduce((sum, count) => sum + count, 0);
      expect(counted).toBe(leaves(trees).length);
    }),
    { seed: 7, numRuns: 300 },
  );
});
