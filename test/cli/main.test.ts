import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Io } from '../../lib/cli/io.ts';
import { main } from '../../lib/cli/main.ts';
import { cases } from '../../lib/selftest/cases/index.ts';
import { select } from '../../lib/selftest/index.ts';
import { parseKtap } from '../ktap/strict-parser.ts';

const plain = select(cases).find(({ definition: { requires, variants } }) => !requires && !variants)!;

async function gmem(argv: readonly string[], env: Io['env'] = {}) {
  let out = '';
  let error = '';
  const code = await main(argv, {
    out: (text) => {
      out += text;
    },
    error: (text) => {
      error += text;
    },
    env,
    signal: new AbortController().signal,
  });
  return { code, out, error };
}

describe('gmem', () => {
  it('has a version and a help that names its commands', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
    expect(await gmem(['--version'])).toEqual({ code: 0, out: `${version}\n`, error: '' });
    for (const words of [['--help'], ['-h'], ['help']]) {
      const { code, out, error } = await gmem(words);
      expect([code, error]).toEqual([0, '']);
      expect(out).toMatch(/selftest.*\n.*doctor/);
    }
  });

  it.each(['selftest', 'doctor', 'compare'])('%s has a help', async (command) => {
    for (const words of [
      [command, '--help'],
      [command, '-h'],
      ['help', command],
    ]) {
      const { code, out } = await gmem(words);
      expect(code).toBe(0);
      expect(out).toMatch(new RegExp(`^gmem ${command}: `));
      expect(out).toContain('exit code');
    }
  });

  it.each([
    [[], /usage: gmem COMMAND/],
    [['selftset'], /^gmem: no command 'selftset'; there is selftest, doctor, compare\n$/],
    [['constructor'], /no command 'constructor'/],
    [['--verbose'], /no command '--verbose'/],
    [['selftest', '--kernal', 'x'], /^gmem selftest: Unknown option '--kernal'\nsee gmem selftest --help\n$/],
    [['selftest', '--kernel', '5.4'], /unknown kernel '5\.4'; there is linux-6\.18, /],
    [['selftest', '--platform', 'sgx'], /unknown platform 'sgx'; there is software-protected, sev-snp, tdx/],
    [['selftest', '--backend', 'wasm'], /unknown backend 'wasm'; there is native, ffi, mock/],
    [['selftest', '--dialect', 'latin'], /unknown dialect 'latin'; there is rfc-convert, /],
    [['selftest', '--backend', 'native', '--kernel', 'rfc-v2'], /--kernel is for the mock/],
    [['selftest', '-t', 'no-such-case'], /no case or variant matches 'no-such-case'; gmem selftest -l lists them/],
    [['selftest', '-T', '*'], /no case is left to run/],
    [['selftest', '--timeout', 'soon'], /--timeout takes seconds/],
    [['selftest', '--timeout', '0'], /--timeout takes seconds/],
    [['selftest', 'create-sizes'], /Unexpected argument 'create-sizes'/],
    [['doctor', '--fix'], /^gmem doctor: Unknown option '--fix'/],
  ])('refuses %j', async (argv, message) => {
    const { code, out, error } = await gmem(argv);
    expect([code, out]).toEqual([2, '']);
    expect(error).toMatch(message);
  });
});

describe('gmem selftest', () => {
  // Any case that runs on every kernel.
  const one = ['selftest', '--kernel', 'rfc-v2', '-t', plain.title];

  it('lists every case with what it tests', async () => {
    const { code, out } = await gmem(['selftest', '-l']);
    expect(code).toBe(0);
    for (const { name, about } of cases) {
      expect(out).toContain(`${name}\n`);
      expect(out).toContain(`    ${about}\n`);
    }
    const { out: lines } = await gmem(['selftest', '-l', '--json']);
    expect(
      lines
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).name),
    ).toEqual(cases.map(({ name }) => name));
  });

  it('prints KTAP and nothing else', async () => {
    const { code, out, error } = await gmem(one);
    expect([code, error]).toEqual([0, '']);
    const { tests } = parseKtap(out);
    expect(tests.map(({ name }) => name)).toEqual(['mock rfc-v2 software-protected']);
    expect(tests[0]!.tests!.map(({ name, ok }) => [name, ok])).toEqual([[plain.title, true]]);
  });

  it('leaves the version line to a runner that has written it', async () => {
    const { out } = await gmem(one, { KSFT_TAP_LEVEL: '1' });
    expect(out.startsWith('1..1\n')).toBe(true);
    parseKtap(out, { header: false });
  });

  it('forces a dialect, and says so in the report', async () => {
    const { out } = await gmem([...one, '--dialect', 'none']);
    expect(out).toMatch(/# conversion dialect none: forced by /);
  });

  it('prints JSON lines', async () => {
    const { code, out } = await gmem([...one, '--json']);
    expect(code).toBe(0);
    expect(
      out
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).type),
    ).toEqual(['plan', 'group', 'case', 'totals']);
  });
});

describe('gmem doctor', () => {
  it('looks at this machine, and says what it found in text or in JSON', async () => {
    const { code, out, error } = await gmem(['doctor']);
    expect([code, error]).toEqual([0, '']);
    expect(out).toContain(process.version);
    const { out: json } = await gmem(['doctor', '--json']);
    const { findings } = JSON.parse(json) as { findings: { section: string; name: string; status: string }[] };
    expect(findings[0]).toMatchObject({ section: 'Node.js and backends', name: 'Node.js', status: 'ok' });
    for (const { name } of findings) expect(out).toContain(name);
  });
});

it('every case has a name of its own that KTAP can carry, and says what it tests', () => {
  const names = cases.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const { name, about, variants = {} } of cases) {
    for (const word of [name, ...Object.keys(variants)]) expect(word).toMatch(/^[a-z0-9][a-z0-9_.-]*$/i);
    expect(about.length, name).toBeGreaterThan(20);
  }
});
