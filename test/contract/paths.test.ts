/** Directories and links, as the backends that call a kernel see them. */

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { errno } from '../../lib/abi/index.ts';
import { createMock } from '../../lib/mock/index.ts';
import { openBackend, probeBackends } from '../../lib/syscalls/open.ts';
import type { Syscalls } from '../../lib/syscalls/seam.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gmem-paths-'));
  mkdirSync(join(folder, 'b'));
  writeFileSync(join(folder, 'a'), '');
  symlinkSync('../no/such', join(folder, 'link'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const both = async (syscalls: Syscalls, name: 'readDirectory' | 'readLink', path: string): Promise<unknown> => {
  const answer = await syscalls[name](path);
  expect(syscalls[`${name}Sync`](path)).toEqual(answer);
  return answer;
};

for (const { backend, available, description } of probeBackends()) {
  describe.skipIf(!available)(available ? backend : `${backend}: ${description}`, () => {
    const syscalls = available ? openBackend(backend) : createMock().syscalls;
    afterAll(() => syscalls.dispose());

    test('what is there is told', async () => {
      expect([...((await both(syscalls, 'readDirectory', folder)) as string[])].sort()).toEqual(['a', 'b', 'link']);
      expect(await both(syscalls, 'readLink', join(folder, 'link'))).toBe('../no/such');
    });

    test('what is not is an errno', async () => {
      expect(await both(syscalls, 'readDirectory', join(folder, 'c'))).toBe(-errno.ENOENT);
      expect(await both(syscalls, 'readDirectory', join(folder, 'a'))).toBe(-errno.ENOTDIR);
      expect(await both(syscalls, 'readLink', join(folder, 'a'))).toBe(-errno.EINVAL);
    });
  });
}

test.each(['native', 'ffi', 'mock'] as const)('%s: a path is text', async (name) => {
  const probe = probeBackends().find(({ backend }) => backend === name);
  const syscalls = name === 'mock' || !probe?.available ? createMock().syscalls : openBackend(name);
  for (const wrong of [undefined, 7, 'a\0b', null] as never[]) {
    const code = expect.objectContaining({ code: expect.stringMatching(/^ERR_/) });
    for (const call of ['readDirectory', 'readLink'] as const) {
      await expect(syscalls[call](wrong)).rejects.toThrowError(code);
      expect(() => syscalls[`${call}Sync`](wrong)).toThrowError(code);
    }
  }
  syscalls.dispose();
});
