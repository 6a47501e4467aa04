/** What a process borrowed is given back when it is gone, however it went. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { afterDeath } from '../../lib/syscalls/after-death.ts';
import { builtUrl } from '../host/support/built.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gmem-after-death-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

/** A process that has two files written after it, and then does this. */
function borrower(one: string, two: string, does: string) {
  const writes = JSON.stringify([
    { path: join(folder, 'no', 'such'), text: 'x' },
    { path: one, text: "it's back" },
    { path: two, text: '$HOME "too"' },
  ]);
  const program = `
    import { afterDeath } from ${JSON.stringify(builtUrl('syscalls/after-death.js'))};
    const callOff = afterDeath(${writes});
    console.log('ready');
    ${does}
  `;
  return spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'ignore'] });
}

async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + 10_000;
  while (!condition() && Date.now() < end) await sleep(20);
}

const ENDS = {
  'it exits': { does: 'process.exit(3);', kill: undefined },
  'it throws': { does: 'throw new Error("over");', kill: undefined },
  'Ctrl-C': { does: 'setInterval(() => {}, 1000);', kill: 'SIGINT' },
  SIGKILL: { does: 'setInterval(() => {}, 1000);', kill: 'SIGKILL' },
} as const;

describe('when the process is gone, the files are written', () => {
  test.each(Object.entries(ENDS))('%s', async (_, { does, kill }) => {
    const [one, two] = [file('one', 'borrowed'), file('two', 'borrowed')];
    const child = borrower(one, two, does);
    await once(child.stdout, 'data');
    if (kill) child.kill(kill);
    await once(child, 'exit');
    await until(() => readFileSync(two, 'utf8') !== 'borrowed');
    expect([readFileSync(one, 'utf8'), readFileSync(two, 'utf8')]).toEqual(["it's back", '$HOME "too"']);
  });

  test('and none when it was called off', async () => {
    const [one, two] = [file('one', 'kept'), file('two', 'kept')];
    const child = borrower(one, two, 'callOff(); setTimeout(() => process.exit(), 100);');
    await once(child, 'exit');
    await sleep(300);
    expect([readFileSync(one, 'utf8'), readFileSync(two, 'utf8')]).toEqual(['kept', 'kept']);
  });

  test('it keeps no process alive', async () => {
    const child = borrower(file('one', ''), file('two', ''), '');
    const [code] = await once(child, 'exit');
    expect(code).toBe(0);
  });
});

test('what is no list of writes is refused', () => {
  for (const wrong of [undefined, 'x', [null], [{}], [{ path: 'a' }], [{ path: 'a\0', text: '' }]]) {
    expect(() => afterDeath(wrong as never)).toThrowError(
      expect.objectContaining({ code: expect.stringMatching(/^ERR_/) }),
    );
  }
});
