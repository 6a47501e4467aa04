/** tracefs as a folder of plain files: what is written where, and that nothing stays behind. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findTracefs, TraceInstance } from '../../lib/trace/tracefs.ts';
import { TracingUnavailableError } from '../../lib/trace/unavailable.ts';
import { builtUrl } from '../host/support/built.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tracefs-'));
  mkdirSync(join(root, 'instances'));
  writeFileSync(join(root, 'kprobe_events'), '');
});
afterEach(() => rmSync(root, { recursive: true }));

const definitions = (): string => readFileSync(join(root, 'kprobe_events'), 'utf8');
const instances = (): string[] => readdirSync(join(root, 'instances'));

describe('finding it', () => {
  it('takes the first that is mounted', () => {
    expect(findTracefs([join(root, 'absent'), root])).toBe(root);
  });

  it('says what is missing and what to do', () => {
    const reason = (mounts: string[]): string => {
      try {
        return findTracefs(mounts);
      } catch (error) {
        expect(error).toBeInstanceOf(TracingUnavailableError);
        return (error as Error).message;
      }
    };
    expect(reason([join(root, 'absent')])).toMatch(/no tracefs at .*absent -> .*mount -t tracefs/);
    rmSync(join(root, 'kprobe_events'));
    expect(reason([root])).toMatch(/no .*kprobe_events -> needs CONFIG_KPROBE_EVENTS=y/);
  });
});

describe('an instance', () => {
  it('adds probes and takes every one of them back, and its folder', () => {
    const instance = new TraceInstance(root);
    const [group] = instances();
    expect(group).toMatch(new RegExp(`^gmem_${process.pid}_\\d+$`));
    expect(instance.addProbe('begin_1', 'p', 'some_function start=$arg1:u64')).toBe(true);
    expect(instance.addProbe('ends_1', 'r', 'some_function')).toBe(true);
    expect(definitions()).toBe(`p:${group}/begin_1 some_function start=$arg1:u64\nr:${group}/ends_1 some_function\n`);
    writeFileSync(join(root, 'kprobe_events'), '');
    instance.close();
    instance.close();
    expect(instances()).toEqual([]);
    expect(definitions()).toBe(`-:${group}/begin_1\n-:${group}/ends_1\n`);
  });

  it('removes what dead processes left, and nothing of anybody else', () => {
    const others = ['mine', 'gmem_notes', `gmem_${process.pid}_77`];
    for (const name of [...others, 'gmem_999999999_1']) mkdirSync(join(root, 'instances', name));
    writeFileSync(
      join(root, 'kprobe_events'),
      `p:kprobes/x f\nr10:gmem_999999999_1/a f\np:gmem_999999998_3/b f\np:gmem_${process.pid}_77/c f\n`,
    );
    const before = definitions();
    using instance = new TraceInstance(root);
    expect(instance).toBeDefined();
    expect(instances().filter((name) => others.includes(name))).toEqual([...others].sort());
    expect(instances()).not.toContain('gmem_999999999_1');
    expect(definitions().slice(before.length)).toBe('-:gmem_999999999_1/a\n-:gmem_999999998_3/b\n');
  });

  it('leaves no listeners', () => {
    const count = () => process.listenerCount('SIGINT') + process.listenerCount('exit');
    const before = count();
    const [one, other] = [new TraceInstance(root), new TraceInstance(root)];
    expect(count()).toBe(before + 2);
    one.close();
    other.close();
    expect(count()).toBe(before);
  });
});

describe('a process that ends first', () => {
  const OPENS = (): string => `
    const { TraceInstance } = await import(${JSON.stringify(builtUrl('trace/tracefs.js'))});
    new TraceInstance(process.env.ROOT).addProbe('a_1', 'p', 'f');
  `;
  const run = (source: string) => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
      env: { ...process.env, ROOT: root },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    return { child, ended: once(child, 'exit') };
  };

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('by %s, dies of it and leaves nothing', async (signal) => {
    const { child, ended } = run(`${OPENS()} console.log('open'); setInterval(() => {}, 1000);`);
    await once(child.stdout, 'data');
    expect(instances()).toHaveLength(1);
    child.kill(signal);
    expect(await ended).toEqual([null, signal]);
    expect(instances()).toEqual([]);
    expect(definitions()).toMatch(/-:gmem_\d+_1\/a_1\n$/);
  });

  it('by itself, and by process.exit(), leaves nothing', async () => {
    for (const end of ['', 'process.exit(3);']) {
      const { ended } = run(`${OPENS()} ${end}`);
      expect(await ended).toEqual([end === '' ? 0 : 3, null]);
      expect(instances()).toEqual([]);
    }
  });

  it('leaves the signal to whoever listens for it', async () => {
    const { child, ended } = run(
      `process.on('SIGINT', () => setTimeout(() => process.exit(5), 50)); ${OPENS()} console.log('open'); setInterval(() => {}, 1000);`,
    );
    await once(child.stdout, 'data');
    child.kill('SIGINT');
    expect(await ended).toEqual([5, null]);
    expect(instances()).toEqual([]);
  });
});
