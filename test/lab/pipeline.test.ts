/** Builds from beginning to end, of a tree that is no kernel's but is made like one. */

import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Cache, openCache } from '../../scripts/lab/host/cache.mjs';
import { findProgram } from '../../scripts/lab/host/processes.mjs';
import { type BuildRequest, build } from '../../scripts/lab/kernel/build.mjs';
import { findImage, listNames, removeKernel } from '../../scripts/lab/kernel/store.mjs';
import { patchText, writeFakeTree } from './fake-tree.ts';

const missing = ['make', 'patch', 'flock', 'git', 'nice', 'tar'].filter((name) => findProgram(name) === undefined);
const SOURCE = 'linux-source-9.1_9.1.0-1';

let folder: string;
let cache: Cache;
let said = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lab-test-'));
  cache = openCache(join(folder, 'cache'));
  said = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    said += String(text);
    return true;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

/** As if Debian's source had been fetched; its files are old, as those of an archive are. */
function fetched(): void {
  const tree = writeFakeTree(join(cache.sources, SOURCE));
  for (const name of readdirSync(tree)) utimesSync(join(tree, name), 1e9, 1e9);
}

function patches(name: string, ...texts: string[]): string {
  mkdirSync(join(folder, name));
  for (const [index, text] of texts.entries()) writeFileSync(join(folder, name, `000${index + 1}.patch`), text);
  return join(folder, name);
}

const ask = (request: Omit<BuildRequest, 'from'>) => build(cache, { ...request, from: folder }, []);
const image = (name: string): string => readFileSync(findImage(cache, name, folder), 'latin1');
const compiled = (id: string): string[] =>
  [...readFileSync(join(cache.logs, `${id}.log`), 'utf8').matchAll(/^ {2}CC {6}(\w+)\.o$/gm)]
    .map(([, name]) => String(name))
    .sort();
const first = patchText('one.c', 'one', 'uno');
const second = patchText('two.c', 'two', 'dos');

describe.skipIf(missing.length > 0)(`a build${missing.length > 0 ? ` (no ${missing.join(', ')})` : ''}`, () => {
  beforeEach(fetched);

  test('is made once, named, and found again', async () => {
    const built = await ask({});
    expect(built).toMatchObject({ name: 'default', fresh: true, record: { release: '9.1.0-lab' } });
    expect(image('default')).toBe('one\nthree\ntwo\n');
    const log = readFileSync(join(cache.logs, `${built.record.id}.log`));
    expect(await ask({ name: 'again' })).toMatchObject({
      name: 'again',
      fresh: false,
      record: { id: built.record.id },
    });
    expect(readFileSync(join(cache.logs, `${built.record.id}.log`))).toEqual(log);
    expect([...listNames(cache).keys()].sort()).toEqual(['again', 'default']);
    expect(existsSync(cache.work)).toBe(false);
  });

  test('with patches compiles what they change, from the objects without them, which stay as they are', async () => {
    const plain = await ask({});
    const patched = await ask({ patches: patches('mine', first) });
    expect(patched).toMatchObject({ name: 'mine', record: { release: `9.1.0-lab-${patched.record.id.slice(0, 8)}` } });
    expect(compiled(plain.record.id)).toEqual(['one', 'three', 'two']);
    expect(compiled(patched.record.id)).toEqual(['one']);
    const more = await ask({ patches: patches('more', first, second) });
    expect(compiled(more.record.id)).toEqual(['two']);
    expect(image('more')).toBe('uno\nthree\ndos\n');
    expect(image('mine')).toBe('uno\nthree\ntwo\n');
    expect(image('default')).toBe('one\nthree\ntwo\n');
    expect(readFileSync(join(cache.sources, SOURCE, 'one.c'), 'utf8')).toBe('one\n');
  });

  test('of other patches never starts from objects made with some', async () => {
    await ask({ patches: patches('mine', first) });
    const other = await ask({ patches: patches('other', second) });
    expect(compiled(other.record.id)).toEqual(['one', 'three', 'two']);
    expect(image('other')).toBe('one\nthree\ndos\n');
  });

  test('that failed says why and where, and the next one does not stand on it', async () => {
    const bad = patches('bad', patchText('one.c', 'one', 'broken'));
    await expect(ask({ patches: bad })).rejects.toThrow(/compiling: failed .*\.log\n {2}one\.c:1:1: error: broken/s);
    await expect(ask({ patches: patches('none', patchText('one.c', 'uno', 'eins')) })).rejects.toThrow(
      /applying 0001\.patch \(1 of 1\): failed/,
    );
    expect(listNames(cache).size).toBe(0);
    await ask({});
    expect(image('default')).toBe('one\nthree\ntwo\n');
  });

  test('that was interrupted goes on where it was', async () => {
    const mine = patches('mine', patchText('two.c', 'two', 'broken'));
    await expect(ask({ patches: mine })).rejects.toThrow('failed');
    writeFileSync(join(cache.work, 'src', 'two.c'), 'dos\n');
    const { record } = await ask({ patches: mine });
    expect(compiled(record.id)).toEqual(['two']);
  });

  test("asks for the user's options and fails when the kernel does not know them", async () => {
    writeFileSync(join(folder, 'my.config'), 'CONFIG_UNKNOWN=y\n');
    await expect(ask({ config: 'my.config' })).rejects.toThrow('UNKNOWN=y (is n)');
    writeFileSync(join(folder, 'my.config'), 'CONFIG_KNOWN=y\n');
    const { record, name } = await ask({ config: 'my.config' });
    expect(name).toBe('my.config');
    expect(readFileSync(join(cache.kernels, record.id, 'build', '.config'), 'utf8')).toContain('CONFIG_KNOWN=y\n');
  });

  test('is forgotten with its names', async () => {
    const { record } = await ask({});
    removeKernel(cache, record.id);
    expect(() => findImage(cache, 'default', folder)).toThrow("no kernel named 'default' (none is built yet)");
    expect(readdirSync(cache.root).sort()).toEqual(['kernels', 'lock', 'logs', 'names', 'sources']);
  });

  test('of the same kernel asked for twice at once is made once', async () => {
    const both = await Promise.all([ask({ name: 'a' }), ask({ name: 'b' })]);
    expect(both.map(({ fresh }) => fresh).sort()).toEqual([false, true]);
    expect(both[0]?.record.id).toBe(both[1]?.record.id);
  });

  test('clears what killed labs left', async () => {
    mkdirSync(join(cache.root, 'removed-x'));
    mkdirSync(join(cache.sources, 'linux-source-9.2_9.2.0-1.partial'));
    await ask({});
    expect(existsSync(join(cache.root, 'removed-x'))).toBe(false);
    expect(readdirSync(cache.sources)).toEqual([SOURCE]);
  });
});

describe.skipIf(missing.length > 0)("a build of the user's tree", () => {
  const git = (...args: string[]): void => {
    const identity = ['-c', 'user.name=t', '-c', 'user.email=t@example.org'];
    const { status, stderr } = spawnSync('git', ['-C', join(folder, 'linux'), ...identity, ...args], {
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(stderr);
  };
  beforeEach(() => {
    writeFakeTree(join(folder, 'linux'));
  });

  test('leaves the tree as it is and compiles what changed since', async () => {
    const before = readdirSync(join(folder, 'linux'));
    await ask({ source: 'linux' });
    writeFileSync(join(folder, 'linux', 'two.c'), 'dos\n');
    const { record, name } = await ask({ source: 'linux' });
    expect(name).toBe('linux');
    expect(compiled(record.id)).toEqual(['two']);
    expect(image('linux')).toBe('one\nthree\ndos\n');
    expect(readdirSync(join(folder, 'linux'))).toEqual(before);
  });

  test('finds the kernel of a commit again, and tells what is not committed', async () => {
    git('init', '-q');
    git('add', '.');
    git('commit', '-qm', 'one');
    const { record } = await ask({ source: 'linux' });
    writeFileSync(join(folder, 'linux', 'four.c'), 'four\n');
    const other = await ask({ source: 'linux' });
    expect(other).toMatchObject({ fresh: true });
    expect(image('linux')).toContain('four');
    rmSync(join(folder, 'linux', 'four.c'));
    expect(await ask({ source: 'linux' })).toMatchObject({ fresh: false, record: { id: record.id } });
  });

  test('with patches is built in a copy', async () => {
    const { record } = await ask({ source: 'linux', patches: patches('mine', first), name: 'both' });
    expect(image('both')).toBe('uno\nthree\ntwo\n');
    expect(readFileSync(join(folder, 'linux', 'one.c'), 'utf8')).toBe('one\n');
    expect(record.folder).toBeUndefined();
  });

  test('is refused when it is not the top of a kernel tree', async () => {
    await expect(ask({ source: folder })).rejects.toThrow('is not the top of a kernel tree');
    expect(said).toBe('');
  });
});
