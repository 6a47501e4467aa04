/** What decides which kernel is built, from what, and whether anything is built at all. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cacheFolder } from '../../scripts/lab/host/cache.mjs';
import { checkHeld, parseConfig, printConfig, readLabConfig, unheld } from '../../scripts/lab/kernel/config.mjs';
import { chooseMirror, newestFetched, newestSource } from '../../scripts/lab/kernel/debian.mjs';
import { chooseDonor, identify } from '../../scripts/lab/kernel/identity.mjs';
import { findPatches, orderPatches, readPatches, splitMailbox } from '../../scripts/lab/kernel/patches.mjs';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lab-test-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const write = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

describe('the cache folder', () => {
  test('is below XDG_CACHE_HOME, which counts only when it is absolute', () => {
    expect(cacheFolder({ XDG_CACHE_HOME: '/c', HOME: '/h' })).toBe('/c/guest-memfd/lab');
    expect(cacheFolder({ XDG_CACHE_HOME: 'c', HOME: '/h' })).toBe('/h/.cache/guest-memfd/lab');
    expect(cacheFolder({ HOME: '/h' })).toBe('/h/.cache/guest-memfd/lab');
  });
});

describe('config fragments', () => {
  test('=n and "is not set" are one thing, comments and order are none', () => {
    const one = parseConfig('# why\nCONFIG_B="x y"\nCONFIG_A=n\n', 'one');
    const other = parseConfig('# CONFIG_A is not set\n\n  CONFIG_B="x y"', 'other');
    expect(printConfig(one)).toBe(printConfig(other));
    expect(printConfig(one)).toBe('# CONFIG_A is not set\nCONFIG_B="x y"\n');
  });

  test('a line that is neither is named', () => {
    expect(() => parseConfig('CONFIG_A=y\nKVM=y\n', 'my.config')).toThrow(
      'my.config:2: not a line of a kernel config: KVM=y',
    );
  });

  test('an option that is absent holds when n was asked for, and only then', () => {
    const wanted = parseConfig('CONFIG_A=y\nCONFIG_B=n\nCONFIG_C=y\nCONFIG_D=5\n', 'wanted');
    const actual = parseConfig('# CONFIG_A is not set\nCONFIG_D=6\n', 'actual');
    expect(unheld(wanted, actual)).toEqual(['A=y (is n)', 'C=y (is n)', 'D=5 (is 6)']);
    expect(unheld(wanted, new Map(wanted))).toEqual([]);
  });

  test("the user's lines win, change the digest, and must hold", () => {
    const plain = readLabConfig();
    const changed = readLabConfig(write('my.config', 'CONFIG_KVM_INTEL=n\nCONFIG_MY=y\n'));
    expect(changed.merged.get('KVM_INTEL')).toBe('n');
    expect(changed.digest).not.toBe(plain.digest);
    expect(readLabConfig(write('same.config', '# nothing but a comment\n')).digest).toBe(plain.digest);
    const actual = new Map(changed.merged).set('MY', 'n');
    expect(() => checkHeld(changed, actual)).toThrow('MY=y (is n)');
  });

  test('what the lab boots with must hold; of the rest is told what does not', () => {
    const config = readLabConfig();
    expect(checkHeld(config, new Map(config.merged))).toEqual([]);
    expect(checkHeld(config, new Map(config.merged).set('GUP_TEST', 'n'))).toEqual(['GUP_TEST=y (is n)']);
    expect(() => checkHeld(config, new Map(config.merged).set('OVERLAY_FS', 'm'))).toThrow('OVERLAY_FS=y (is m)');
  });

  test('an absent fragment is a failure that says so', () => {
    expect(() => readLabConfig(join(folder, 'absent'))).toThrow('cannot read the config fragment');
  });
});

describe('patches', () => {
  const diff = (name: string): string => `--- a/${name}\n+++ b/${name}\n@@ -1 +1 @@\n-a\n+b\n`;

  test('go by the series file, else by name', () => {
    expect(orderPatches(['0002-b.patch', 'notes.txt', '0001-a.patch', 'x.mbx'], undefined)).toEqual([
      '0001-a.patch',
      '0002-b.patch',
      'x.mbx',
    ]);
    expect(orderPatches([], '# head\nz.patch\n\na.patch -p1 # why\n')).toEqual(['z.patch', 'a.patch']);
  });

  test('a mailbox is cut into its messages, without those that change nothing', () => {
    const from = 'From 0123abcd Mon Sep 17 00:00:00 2001\n';
    const body = 'From the start, this was wrong.\n';
    const parts = splitMailbox(`${from}cover\n${from}${body}${diff('one')}${from}${diff('two')}`);
    expect(parts).toEqual([`${from}${body}${diff('one')}`, `${from}${diff('two')}`]);
  });

  test('are told apart by what is in them, whatever they are called', () => {
    write('0000-cover-letter.patch', 'no diff');
    write('0001-a.patch', diff('one'));
    const [first, ...more] = readPatches(folder);
    expect(more).toEqual([]);
    rmSync(join(folder, '0001-a.patch'));
    write('other.diff', diff('one'));
    expect(readPatches(folder)[0]?.digest).toBe(first?.digest);
    write('other.diff', diff('two'));
    expect(readPatches(folder)[0]?.digest).not.toBe(first?.digest);
  });

  test('bytes that are not UTF-8 survive', () => {
    writeFileSync(join(folder, 'a.patch'), Buffer.concat([Buffer.from(diff('one')), Buffer.from([0xe9, 0xff])]));
    const text = readPatches(folder)[0]?.text ?? '';
    expect(Buffer.from(text, 'latin1').subarray(-2)).toEqual(Buffer.from([0xe9, 0xff]));
  });

  test("a bare name is a series of the lab's own, a path never", () => {
    const own = findPatches('rfc-convert', folder);
    expect(readPatches(own).every(({ text }) => text.startsWith('SPDX-License-Identifier: GPL-2.0-only\n'))).toBe(true);
    expect(findPatches('./rfc-convert', folder)).toBe(join(folder, 'rfc-convert'));
    expect(findPatches('another', folder)).toBe(join(folder, 'another'));
    expect(findPatches('.', folder)).toBe(folder);
  });

  test('a folder without any, no folder, and a series that names what is absent are failures', () => {
    expect(() => readPatches(folder)).toThrow(`no patches in ${folder}`);
    expect(() => readPatches(join(folder, 'absent'))).toThrow('cannot read the patches');
    write('series', 'gone.patch\n');
    expect(() => readPatches(folder)).toThrow('gone.patch');
  });
});

describe('identity', () => {
  const base = { source: 's', patches: ['p', 'q'], config: 'c' };

  test('is that of source, patches in their order, and config, wherever the source is', () => {
    const id = identify(base);
    expect(id).toMatch(/^[0-9a-f]{16}$/);
    expect(identify({ ...base, folder: '/linux' })).toBe(id);
    const others = [{ source: 't' }, { config: 'd' }, { patches: ['q', 'p'] }, { patches: ['p'] }, { patches: ['pq'] }];
    const ids = others.map((change) => identify({ ...base, ...change }));
    expect(new Set([id, ...ids]).size).toBe(ids.length + 1);
  });
});

describe('the donor of objects', () => {
  const record = (id: string, given: object) => ({
    id,
    source: 's',
    patches: [] as string[],
    config: 'c',
    release: '7.3.4',
    seconds: 1,
    built: 1,
    ...given,
  });
  const wanted = { source: 's', patches: ['p', 'q'], config: 'c' };

  test('has the longest beginning of the wanted patches, never others', () => {
    const records = [
      record('plain', {}),
      record('first', { patches: ['p'] }),
      record('other', { patches: ['q'] }),
      record('more', { patches: ['p', 'q', 'r'] }),
      record('elsewhere', { source: 't', patches: ['p'] }),
    ];
    expect(chooseDonor(records, wanted)?.id).toBe('first');
    expect(chooseDonor(records.slice(2), wanted)).toBeUndefined();
  });

  test('has the same config if one does, and is the newest of equals', () => {
    const records = [
      record('old', { built: 1 }),
      record('new', { built: 2 }),
      record('configured', { built: 3, config: 'd' }),
    ];
    expect(chooseDonor(records, wanted)?.id).toBe('new');
    expect(chooseDonor(records, { ...wanted, config: 'e' })?.id).toBe('configured');
  });

  test('a folder that is built in place takes only its own, in whatever state that was', () => {
    const records = [record('plain', {}), record('mine', { folder: '/linux', source: 'before' })];
    expect(chooseDonor(records, { ...wanted, folder: '/linux', patches: [] })?.id).toBe('mine');
    expect(chooseDonor(records, { ...wanted, folder: '/other', patches: [] })).toBeUndefined();
    expect(chooseDonor(records, { ...wanted, source: 'before', patches: [] })).toBeUndefined();
  });
});

describe("Debian's source", () => {
  test('comes from where this machine takes Debian from', () => {
    const targets = [
      'Packages|Debian|bookworm-security|http://m.example/debian-security/|/k.gpg',
      'Packages|Other|stable|https://other.example/apt/|/o.gpg',
      'Sources|Debian|bookworm|http://m.example/debian/|/k.gpg',
      'Packages|Debian|bookworm|http://m.example/debian/|/k.gpg',
    ].join('\n');
    expect(chooseMirror(targets)).toEqual({ uri: 'http://m.example/debian/', signedBy: '/k.gpg' });
  });

  test('the archive is known by its path where there are no package lists', () => {
    const targets = [
      'Packages|$(ORIGIN)|stable|https://other.example/apt/|$(SIGNED_BY)',
      'Packages|$(ORIGIN)|bookworm|http://m.example/debian|$(SIGNED_BY)',
    ].join('\n');
    expect(chooseMirror(targets)).toEqual({ uri: 'http://m.example/debian', signedBy: undefined });
    expect(chooseMirror('Packages|Ubuntu|noble|http://u.example/ubuntu/|/u.gpg')).toBeUndefined();
    expect(chooseMirror('')).toBeUndefined();
  });

  test('the newest by number, not by spelling', () => {
    const names = ['linux-source-6.9 - a', 'linux-source-6.19 - b', 'linux-source - c', 'linux-source-6.2-rt - d'].join(
      '\n',
    );
    expect(newestSource(names)).toBe('linux-source-6.19');
    expect(newestSource('linux-source - the newest')).toBeUndefined();
  });

  test('of the sources that are here, the newest that is whole', () => {
    const names = [
      'linux-source-7.3_7.3.4-1~bpo13+1',
      'linux-source-7.3_7.3.10-1~bpo13+1',
      'linux-source-6.19_6.19.12-1~bpo13+1',
      'linux-source-7.4_7.4.1-1~bpo13+1.partial',
    ];
    expect(newestFetched(names)).toBe('linux-source-7.3_7.3.10-1~bpo13+1');
    expect(newestFetched([])).toBeUndefined();
  });
});
