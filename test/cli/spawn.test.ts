/** The command as it is installed: compiled, in a process of its own. */

import { type ChildProcess, spawn } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../host/support/built.ts';
import { parseKtap } from '../ktap/strict-parser.ts';

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly error: string;
}

function start(argv: readonly string[], env: NodeJS.ProcessEnv = {}): { child: ChildProcess; ended: Promise<Ended> } {
  const child = spawn(process.execPath, argv, { cwd: ROOT, env: { ...process.env, ...env } });
  let out = '';
  let error = '';
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    error += chunk;
  });
  const ended = new Promise<Ended>((resolve) => child.on('close', (code) => resolve({ code, out, error })));
  return { child, ended };
}

const gmem = (...argv: string[]) => start(['dist/cli/gmem.js', ...argv]).ended;

describe('exit codes', () => {
  it('0 where all passed', async () => {
    const { code, out, error } = await gmem('selftest', '--kernel', 'linux-7.3', '-t', 'create-*');
    expect([code, error]).toEqual([0, '']);
    parseKtap(out);
  });

  it('1 for a backend that was asked for and does not work, with the reason on stderr too', async () => {
    const env = { GMEM_NATIVE_PATH: '/nonexistent/addon.node' };
    const { code, out, error } = await start(['dist/cli/gmem.js', 'selftest', '--backend', 'native'], env).ended;
    expect(code).toBe(1);
    expect(error).toContain('/nonexistent/addon.node');
    const [native] = parseKtap(out).tests;
    expect(native).toMatchObject({ name: 'native', ok: false, directive: 'ERROR' });
    expect(native!.reason).toContain('/nonexistent/addon.node');
  });

  it('2 for a wrong command line, with nothing on stdout', async () => {
    const { code, out, error } = await gmem('selftest', '--frobnicate');
    expect([code, out]).toEqual([2, '']);
    expect(error).toContain('--frobnicate');
  });
});

/** A suite of one case, whose `run` is the given text, on a mock. */
const suite = (run: string) => `
  import { openHost } from './dist/kvm/index.js';
  import { defineCase, hostOptions, KtapReporter, planGroups, runSuite, select } from './dist/selftest/index.js';
  const stop = new AbortController();
  process.on('SIGINT', () => stop.abort());
  const cases = [defineCase({ name: 'tried', about: 'a rule', run: async (t) => { ${run} } })];
  const reporter = new KtapReporter((line) => process.stdout.write(line), true);
  const open = (spec) => openHost(hostOptions(spec));
  process.exitCode = await runSuite(planGroups({ kernels: ['rfc-v2'] }), select(cases), reporter, { open, signal: stop.signal });`;

describe('a process', () => {
  it('is not ended by a promise nobody awaits', async () => {
    const { ended } = start([
      '--input-type=module',
      '-e',
      suite(`
      t.ok(true, '');
      Promise.reject(new Error('forgotten'));
      await new Promise((resolve) => setTimeout(resolve, 20));`),
    ]);
    const { code, out } = await ended;
    expect(code).toBe(1);
    expect(parseKtap(out).tests[0]!.tests![0]!.diagnostics).toContain('# a promise nobody awaits threw Error');
  });

  it('cleans up and ends its report on Ctrl-C', async () => {
    const { child, ended } = start([
      '--input-type=module',
      '-e',
      suite(`
      t.defer(() => process.stderr.write('cleaned'));
      process.stderr.write('ready');
      await new Promise(() => {});`),
    ]);
    child.stderr!.once('data', () => child.kill('SIGINT'));
    const { code, out, error } = await ended;
    expect([code, error]).toEqual([1, 'readycleaned']);
    expect(parseKtap(out).tests[0]!.tests![0]!.diagnostics).toContain('# interrupted');
  });

  it('survives a reader that goes away', async () => {
    const { child, ended } = start(['dist/cli/gmem.js', 'selftest', '--backend', 'mock']);
    child.stdout!.once('data', () => child.stdout!.destroy());
    const { code, error } = await ended;
    expect(error).not.toContain('EPIPE');
    expect([0, 1]).toContain(code);
  });
});
