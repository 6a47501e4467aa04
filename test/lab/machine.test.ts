/** What QEMU and the guest are told, and how what they print is read. */

import { spawnSync } from 'node:child_process';
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CHARACTER_DEVICE, FOLDER, PROGRAM, packCpio } from '../../scripts/lab/machine/cpio.mjs';
import { isStatic } from '../../scripts/lab/machine/initramfs.mjs';
import { KernelLog, problemIn } from '../../scripts/lab/machine/kernel-log.mjs';
import { KtapCounter } from '../../scripts/lab/machine/ktap.mjs';
import { pciIds, qemuArguments } from '../../scripts/lab/machine/qemu.mjs';
import { guestEnvironment, guestScript, quote } from '../../scripts/lab/machine/script.mjs';
import { Trailer } from '../../scripts/lab/machine/trailer.mjs';

const text = fc.string({
  unit: fc.constantFrom('a', "'", '"', '\\', '$', '`', ' ', '\n', '!', '*', 'é'),
  maxLength: 12,
});

describe('the script for the guest', () => {
  const orders = {
    command: ['node', '-e', 'lab: begin\n1'],
    cwd: "/it's here",
    env: { A: '1 2' },
    keep: ['/out put', '/b'],
    vfio: ['1234:11e8'],
    terminal: false,
    input: true,
    token: 'feed',
    size: undefined,
  };

  test('a shell reads back what was quoted', () => {
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 20 }), (words) => {
        const script = `printf '%s\\0' ${words.map(quote).join(' ')}`;
        const { stdout } = spawnSync('sh', ['-c', script], { encoding: 'utf8' });
        expect(stdout.split('\0').slice(0, -1)).toEqual(words);
      }),
      { numRuns: 40, seed: 1 },
    );
  });

  test('says first how many lines it has, so that no line can end it', () => {
    const [count, ...lines] = guestScript(orders).split('\n');
    expect(lines.pop()).toBe('');
    expect(lines.length).toBe(Number(count));
  });

  test('a shell finds in its variables what was ordered', () => {
    const script = guestScript(orders).replace(/^\d+\n/, '');
    const show = 'printf "%s|" "$share" "$keep" "$vfio" "$terminal" "$input" "$token" "$rows" "$columns"';
    const { stdout } = spawnSync('sh', ['-c', `${script}${show}`], { encoding: 'utf8' });
    expect(stdout).toBe('lab.root|lab.keep0 /out put\nlab.keep1 /b|1234:11e8||1|feed|||');
  });

  test('the command runs in its folder with its environment', () => {
    const script = guestScript({ ...orders, cwd: '/usr', command: ['sh', '-c', 'echo "$PWD $A $1"', 'x', "it's"] });
    const run = `${script.replace(/^\d+\n/, '')}\nsh -c "$command"`;
    expect(spawnSync('sh', ['-c', run], { encoding: 'utf8' }).stdout).toBe("/usr 1 2 it's\n");
  });

  test('a folder that is gone is not passed over', () => {
    const script = guestScript({ ...orders, cwd: '/nowhere/at/all', command: ['true'] }).replace(/^\d+\n/, '');
    expect(spawnSync('sh', ['-c', `${script}\nsh -c "$command"`]).status).toBe(126);
  });

  test('some variables are passed, others by name or with a value', () => {
    const env = { PATH: '/bin', SECRET: 's', MINE: 'm', EMPTY: '' };
    expect(guestEnvironment(env, [])).toEqual({ PATH: '/bin' });
    expect(guestEnvironment(env, ['MINE', 'NEW=a=b', 'EMPTY', 'ABSENT', 'PATH=/x', 'not a name=1'])).toEqual({
      PATH: '/x',
      MINE: 'm',
      NEW: 'a=b',
      EMPTY: '',
    });
  });
});

describe('the token at the end', () => {
  const token = 'abcabd';

  test('everything before it comes out, and it does not, wherever the stream is cut', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'd') }), fc.array(fc.nat(30)), (body, cuts) => {
        fc.pre(!`${body}${token}`.slice(0, -1).includes(token));
        const passed: Buffer[] = [];
        const trailer = new Trailer(token, (chunk) => passed.push(chunk));
        const all = Buffer.from(`${body}${token}`);
        const bounds = [0, ...cuts.filter((cut) => cut < all.length).sort((a, b) => a - b), all.length];
        for (let i = 1; i < bounds.length; i++) trailer.push(all.subarray(bounds[i - 1], bounds[i]));
        expect(trailer.ended).toBe(true);
        expect(Buffer.concat(passed).toString()).toBe(body);
      }),
      { numRuns: 300, seed: 1 },
    );
  });

  test('what cannot be its beginning is passed on at once, what can be when it is over', () => {
    let passed = '';
    const trailer = new Trailer(token, (chunk) => {
      passed += chunk;
    });
    trailer.push(Buffer.from('hello abca'));
    expect(passed).toBe('hello ');
    trailer.finish();
    expect(passed).toBe('hello abca');
    expect(trailer.ended).toBe(false);
  });
});

describe("the kernel's log", () => {
  test.each([
    ['[    3.881297] Kernel panic - not syncing: sysrq triggered crash', 'panic: sysrq triggered crash', false],
    [
      '[    1.0] WARNING: CPU: 0 PID: 1 at mm/gup.c:1 f+0x1/0x2',
      'warning: CPU: 0 PID: 1 at mm/gup.c:1 f+0x1/0x2',
      true,
    ],
    [
      '[    1.0][   T12] WARNING: mm/gup.c:1 at f+0x1/0x2, CPU#0: sh/1',
      'warning: mm/gup.c:1 at f+0x1/0x2, CPU#0: sh/1',
      true,
    ],
    [
      '[    1.0] BUG: kernel NULL pointer dereference, address: 8',
      'BUG: kernel NULL pointer dereference, address: 8',
      false,
    ],
    ['[    1.0] kernel BUG at mm/gup.c:1!', 'BUG: at mm/gup.c:1!', false],
    [
      '[    1.0] BUG: sleeping function called from invalid context at mm/gup.c:1',
      'BUG: sleeping function called from invalid context at mm/gup.c:1',
      false,
    ],
    [
      '[    1.0] WARNING: possible circular locking dependency detected',
      'warning: possible circular locking dependency detected',
      true,
    ],
    ['[    1.0] [ BUG: Invalid wait context ]', 'BUG: Invalid wait context', false],
    ['[    1.0] INFO: trying to register non-static key.', 'lockdep: trying to register non-static key', false],
    ['[    1.0] Oops: general protection fault: 0000 [#1] SMP', 'oops: general protection fault: 0000 [#1] SMP', false],
    [
      '[   30.1] rcu: INFO: rcu_preempt self-detected stall on CPU',
      'stall: rcu_preempt self-detected stall on CPU',
      false,
    ],
    [
      '[  123.4] INFO: task sh:77 blocked for more than 120 seconds.',
      'hung task: task sh:77 blocked for more than 120 seconds.',
      false,
    ],
  ])('%s', (line, said, warning) => {
    expect(problemIn(line)).toEqual({ text: said, warning });
  });

  test.each([
    '[    1.0] traps: node[89] general protection fault ip:55d0 sp:7ffd error:0 in node',
    '[    1.0] node[12]: segfault at 0 ip 0000 sp 0000 error 4',
    '[    1.0] FAULT_INJECTION: forcing a failure.',
    '[    1.0] lab: a WARNING: in a message',
    '[    1.0] Debug: sleeping function check is on',
    '',
  ])('nothing is wrong with: %s', (line) => {
    expect(problemIn(line)).toBeUndefined();
  });

  const feed = (...lines: string[]) => {
    const log = new KernelLog();
    const bytes = Buffer.from(lines.map((line) => `[    1.000000] ${line}\r\n`).join(''));
    for (let i = 0; i < bytes.length; i += 7) log.push(bytes.subarray(i, i + 7));
    log.finish();
    return log;
  };

  test('is shown from the command on, and whole when the boot went wrong', () => {
    const tail = ['lab: the command starts', 'Kernel panic - not syncing: x', 'end'];
    expect(feed('Linux version', ...tail).relevant()).toEqual(tail.slice(1).map((line) => `[    1.000000] ${line}`));
    expect(feed('WARNING: a', ...tail).relevant()).toHaveLength(4);
    expect(feed('no init found').relevant()).toHaveLength(1);
  });

  test("keeps init's complaint, a panic and the killer of processes apart", () => {
    const log = feed(
      'lab: no overlay',
      'lab: the command ended with status 0',
      'Out of memory: Killed process 7 (node)',
    );
    expect(log).toMatchObject({ complaint: 'no overlay', panicked: false, outOfMemory: true, problems: [] });
    expect(feed('Kernel panic - not syncing: x').panicked).toBe(true);
  });
});

describe('KTAP', () => {
  test('results are counted at every depth and passed on as they came', () => {
    const to = new PassThrough();
    const counter = new KtapCounter(to);
    const body = 'KTAP version 1\n1..2\n  ok 1 a\n    not ok 2 b # why\nok 3 c # SKIP none\nokay\nnot ok 4 d';
    counter.write(Buffer.from(body.slice(0, 30)));
    counter.write(Buffer.from(body.slice(30)));
    counter.finish();
    expect(to.read().toString()).toBe(body);
    expect(counter).toMatchObject({ ok: 1, skipped: 1, notOk: ['not ok 2 b # why', 'not ok 4 d'] });
  });
});

describe('the initramfs', () => {
  test('is a newc archive: fields, padding and the end as the kernel reads them', () => {
    const archive = packCpio([
      { name: 'dev', mode: FOLDER },
      { name: 'init', mode: PROGRAM, data: Buffer.from('hello') },
      { name: 'dev/console', mode: CHARACTER_DEVICE, device: [5, 1] },
    ]);
    const found: Record<string, unknown>[] = [];
    let at = 0;
    for (;;) {
      expect(archive.toString('latin1', at, at + 6)).toBe('070701');
      const field = (index: number): number =>
        Number.parseInt(archive.toString('latin1', at + 6 + index * 8, at + 14 + index * 8), 16);
      const nameEnd = at + 110 + field(11);
      const name = archive.toString('latin1', at + 110, nameEnd - 1);
      const dataAt = Math.ceil(nameEnd / 4) * 4;
      const data = archive.toString('latin1', dataAt, dataAt + field(6));
      const entry = { name, mode: field(1), links: field(4), device: [field(9), field(10)], data };
      at = Math.ceil((dataAt + field(6)) / 4) * 4;
      if (name === 'TRAILER!!!') break;
      found.push(entry);
    }
    expect(at).toBe(archive.length);
    expect(found).toEqual([
      { name: 'dev', mode: 0o040755, links: 2, device: [0, 0], data: '' },
      { name: 'init', mode: 0o100755, links: 1, device: [0, 0], data: 'hello' },
      { name: 'dev/console', mode: 0o020600, links: 1, device: [5, 1], data: '' },
    ]);
  });

  test('takes only a program without a loader', () => {
    const elf = (type: number): Buffer => {
      const bytes = Buffer.alloc(64 + 56);
      bytes.writeUInt32BE(0x7f454c46, 0);
      bytes.writeBigUInt64LE(64n, 32);
      bytes.writeUInt16LE(56, 54);
      bytes.writeUInt16LE(1, 56);
      bytes.writeUInt32LE(type, 64);
      return bytes;
    };
    expect(isStatic(elf(1))).toBe(true);
    expect(isStatic(elf(3))).toBe(false);
    expect(isStatic(Buffer.from('#!/bin/sh\n'))).toBe(false);
    expect(isStatic(Buffer.alloc(0))).toBe(false);
  });
});

describe("QEMU's arguments", () => {
  const machine = {
    kernel: '/k',
    cpus: '2',
    memory: '2G',
    accel: 'tcg',
    iommu: 'intel',
    devices: ['edu', 'e1000'],
    keep: ['/a,b'],
    terminal: false,
    append: ['hugepages=4'],
    extra: ['-no-hpet'],
  };
  const valuesOf = (name: string, args: string[]): string[] =>
    args.flatMap((arg, index) => (args[index - 1] === name ? arg : []));

  test('the host is shared for reading only, what is kept is not, and commas are doubled', () => {
    const [root, keep] = valuesOf('-virtfs', qemuArguments(machine, '/i'));
    expect(root).toMatch(/^local,path=\/,mount_tag=lab\.root,.*readonly=on/);
    expect(keep).toMatch(/^local,path=\/a,,b,mount_tag=lab\.keep0,/);
    expect(keep).not.toContain('readonly');
  });

  test('an IOMMU comes before what it translates for', () => {
    const devices = valuesOf('-device', qemuArguments(machine, '/i')).map((device) => device.split(',')[0]);
    expect(devices.slice(0, 3)).toEqual(['intel-iommu', 'edu', 'e1000']);
    expect(valuesOf('-device', qemuArguments({ ...machine, iommu: 'none', devices: ['none'] }, '/i'))[0]).toMatch(
      /^virtio-/,
    );
  });

  test('the parameters end with those asked for, and KVM has its own accelerator', () => {
    expect(valuesOf('-append', qemuArguments(machine, '/i'))[0]).toMatch(/ hugepages=4$/);
    expect(valuesOf('-accel', qemuArguments({ ...machine, accel: 'kvm' }, '/i'))).toEqual(['kvm']);
    expect(qemuArguments(machine, '/i').at(-1)).toBe('-no-hpet');
  });

  test('devices are bound by their PCI ids', () => {
    expect(pciIds(['edu', 'none', 'e1000'])).toEqual(['1234:11e8', '8086:100e']);
  });
});
