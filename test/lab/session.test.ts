/** A run from its start to its verdict, against a stand-in for QEMU. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { PassThrough, Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { startSession } from '../../scripts/lab/machine/session.mjs';
import { judge } from '../../scripts/lab/machine/verdict.mjs';

const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const qemu = file('fake-qemu.mjs');

beforeEach(() => vi.stubEnv('LAB_TEST_GUEST', ''));
afterEach(() => vi.unstubAllEnvs());

const machine = {
  kernel: '/kernel',
  cpus: '1',
  memory: '1G',
  accel: 'tcg',
  iommu: 'none',
  devices: [],
  keep: [],
  terminal: false,
  append: [],
  extra: [],
};
const orders = {
  command: ['true'],
  cwd: '/',
  env: {},
  keep: [],
  vfio: [],
  terminal: false,
  input: false,
  size: undefined,
};

function collector(): { stream: Writable; text: () => string } {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
  return { stream, text: () => Buffer.concat(chunks).toString() };
}

async function runGuest(guest: string, { timeout = 15, input = undefined as Readable | undefined } = {}) {
  vi.stubEnv('LAB_TEST_GUEST', guest);
  const [out, err] = [collector(), collector()];
  const sinks = { out: out.stream, err: err.stream, ...(input === undefined ? {} : { input }) };
  const session = { machine, orders: { ...orders, input: input !== undefined }, initramfs: '/i', timeout, qemu };
  const outcome = await startSession(session, sinks).outcome;
  return { outcome, verdict: judge(outcome, { timeout, allowWarnings: false }), out: out.text(), err: err.text() };
}

describe('a run', () => {
  test("gives the command's output and status, and ends when all of it is there", async () => {
    const { outcome, verdict, out, err } = await runGuest('talks');
    expect({ out, err }).toEqual({ out: 'to stdout\n', err: 'to stderr\n' });
    expect(outcome).toMatchObject({ status: 7, stage: 'started', timedOut: false, complaints: [] });
    expect(verdict).toEqual({ status: 7, showLog: false });
  });

  test('loses nothing of much output to a slow reader', async () => {
    vi.stubEnv('LAB_TEST_GUEST', 'floods');
    let taken = 0;
    const slow = new Writable({
      highWaterMark: 1 << 16,
      write: (chunk, _encoding, done) => {
        taken += chunk.length;
        setImmediate(done);
      },
    });
    const session = { machine, orders, initramfs: '/i', timeout: 15, qemu };
    const outcome = await startSession(session, { out: slow, err: new PassThrough() }).outcome;
    await new Promise((resolve) => slow.end(resolve));
    expect({ taken, status: outcome.status }).toEqual({ taken: 10_000_000, status: 0 });
  });

  test('passes on its input to the end', async () => {
    const { out, verdict } = await runGuest('echoes', {
      input: Readable.from([Buffer.from('one '), Buffer.from('two')]),
    });
    expect({ out, status: verdict.status }).toEqual({ out: 'one two', status: 0 });
  });

  test('a warning fails it though the command succeeded, unless warnings are allowed', async () => {
    const { outcome, verdict } = await runGuest('warns');
    expect(outcome.status).toBe(0);
    expect(verdict).toMatchObject({ status: 125, showLog: true, why: expect.stringContaining('mm/gup.c:1') });
    expect(judge(outcome, { timeout: 15, allowWarnings: true })).toEqual({ status: 0, showLog: true });
  });

  test('a panic is told as such', async () => {
    const { verdict } = await runGuest('panics');
    expect(verdict).toEqual({ status: 125, why: 'the kernel failed: panic: sysrq triggered crash', showLog: true });
  });

  test('what the kernel lacks is told', async () => {
    vi.stubEnv('LAB_TEST_GUEST', 'refuses');
    const { outcome } = await runGuest('refuses');
    const { why } = judge({ ...outcome, stage: 'booting' }, { timeout: 15, allowWarnings: false });
    expect(why).toContain('no overlay: CONFIG_OVERLAY_FS');
  });

  test('what QEMU says when it does not start is told', async () => {
    const { verdict } = await runGuest('refused');
    expect(verdict).toMatchObject({ status: 125, why: 'QEMU ended: fake-qemu: no such option' });
  });

  test('a hang ends at the limit, with the log that the NMI made', async () => {
    const { verdict, outcome } = await runGuest('hangs', { timeout: 0.5 });
    expect(verdict).toMatchObject({ status: 124, showLog: true });
    expect(outcome.log.lines.join()).toContain('NMI');
    const late = judge({ ...outcome, stage: 'started' }, { timeout: 5, allowWarnings: false });
    expect(late.why).toContain('the command did not end in 5 s');
  });
});

describe('the lifeline', () => {
  const alive = (pid: string): boolean => existsSync(`/proc/${pid}/status`);

  test('a lab that is killed takes QEMU and all that it started with it', async () => {
    const lab = spawn(process.execPath, [file('forked-session.mjs'), qemu], {
      env: { ...process.env, LAB_TEST_GUEST: 'forks' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(lab.stdout, 'data')) as [Buffer];
    const pids = line.toString().trim().split(' ');
    expect(pids.map(alive)).toEqual([true, true]);
    lab.kill('SIGKILL');
    for (let i = 0; i < 500 && pids.some(alive); i++) await sleep(10);
    expect(pids.map(alive)).toEqual([false, false]);
  });
});
