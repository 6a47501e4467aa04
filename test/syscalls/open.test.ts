/** Which backends there are, and what a reader is told where one is missing. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { errno } from '../../lib/abi/errno.ts';
import { MAP_SHARED, PROT_READ } from '../../lib/abi/linux.ts';
import { addonUnavailable } from '../../lib/syscalls/missing-addon.ts';
import { openBackend, probeBackends } from '../../lib/syscalls/open.ts';
import { BackendUnavailableError } from '../../lib/syscalls/unavailable.ts';
import { missingFor } from '../contract/missing.ts';
import { openFiles } from '../native/open-files.ts';

describe('a backend that is not available', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'gmem-'));
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(directory, { recursive: true });
  });

  const failure = (): BackendUnavailableError => {
    try {
      openBackend('native');
    } catch (error) {
      if (error instanceof BackendUnavailableError) return error;
      throw error;
    }
    return expect.unreachable();
  };

  test('GMEM_NATIVE_PATH that names nothing is told', () => {
    const path = join(directory, 'none.node');
    vi.stubEnv('GMEM_NATIVE_PATH', path);
    const error = failure();
    expect(error).toMatchObject({ code: 'ERR_BACKEND_UNAVAILABLE', backend: 'native' });
    expect(error.reasons[0]).toBe(`${path} (from GMEM_NATIVE_PATH) does not exist`);
    expect(error.message).toContain('Possible solutions:\n  - ');
    expect(error.message).toContain('unset GMEM_NATIVE_PATH');
  });

  test('a file that is no addon is told with the loader’s own words', () => {
    const path = join(directory, 'broken.node');
    writeFileSync(path, 'no ELF file');
    vi.stubEnv('GMEM_NATIVE_PATH', path);
    expect(failure().reasons[0]).toMatch(/broken\.node \(from GMEM_NATIVE_PATH\) does not load: .*(ELF|short)/);
  });

  test('no binary and no compiler: both are told, and where to build', () => {
    vi.stubEnv('GMEM_NATIVE_PATH', '');
    vi.stubEnv('PATH', directory);
    vi.stubEnv('CXX', '');
    const { reasons, fixes } = addonUnavailable(directory, undefined, new Error('none found'));
    expect(reasons).toEqual([
      `no binary for linux-${process.arch} in ${directory}/build/Release or ${directory}/prebuilds (which has none)`,
      'no C++ compiler to build it with: none of c++, g++, clang++ is in PATH',
    ]);
    expect(fixes[0]).toBe(
      `install a C++20 compiler, make and Python 3, then build it: npx node-gyp rebuild, in ${directory}`,
    );
    expect(fixes).toContain("use { backend: 'ffi' }, which needs no compiler");
  });

  test('a compiler that is there is not asked for', () => {
    writeFileSync(join(directory, 'g++'), '', { mode: 0o755 });
    vi.stubEnv('PATH', directory);
    const { reasons, fixes } = addonUnavailable(directory, undefined, new Error('none found'));
    expect(reasons).toHaveLength(1);
    expect(fixes[0]).toBe(`build it: npx node-gyp rebuild, in ${directory}`);
  });

  test('a probe tells of each backend, and does not throw', () => {
    vi.stubEnv('GMEM_NATIVE_PATH', join(directory, 'none.node'));
    const [native, ffi] = probeBackends();
    expect(native).toMatchObject({ backend: 'native', available: false });
    expect(native?.fixes.length).toBeGreaterThan(0);
    expect(ffi?.backend).toBe('ffi');
  });
});

describe('ffi', () => {
  afterEach(() => {
    vi.doUnmock('node:worker_threads');
    vi.doUnmock('node:module');
    vi.resetModules();
  });

  const reasons = async (): Promise<readonly string[]> => {
    vi.resetModules();
    const { createFfi } = await import('../../lib/syscalls/ffi.ts');
    try {
      createFfi();
    } catch (error) {
      expect(error).toMatchObject({ code: 'ERR_BACKEND_UNAVAILABLE', backend: 'ffi' });
      return (error as BackendUnavailableError).reasons;
    }
    return expect.unreachable();
  };

  test('refuses to open in a worker thread, where it would crash the process', async () => {
    vi.doMock('node:worker_threads', () => ({ isMainThread: false }));
    expect(await reasons()).toEqual([expect.stringContaining('this is a worker thread')]);
  });

  test('tells when ffi-rs is not installed', async () => {
    vi.doMock('node:module', () => ({
      createRequire: () => () => {
        throw Object.assign(new Error('Cannot find module'), { code: 'MODULE_NOT_FOUND' });
      },
    }));
    expect(await reasons()).toEqual([expect.stringContaining('ffi-rs, or its binary for linux-')]);
  });

  test('tells when ffi-rs does not load', async () => {
    vi.doMock('node:module', () => ({
      createRequire: () => () => {
        throw new Error('GLIBC_2.99 not found\nin some file');
      },
    }));
    expect(await reasons()).toEqual(['ffi-rs does not load: GLIBC_2.99 not found']);
  });
});

describe.each(['native', 'ffi'] as const)('%s', (backend) => {
  test.skipIf(missingFor(backend) !== undefined)('leaves nothing open: not a probe, not after dispose', () => {
    const before = openFiles();
    probeBackends();
    expect(openFiles()).toEqual(before);
    const syscalls = openBackend(backend);
    const file = syscalls.memfdCreateSync('open', 0);
    const address = syscalls.mmapSync(4096, PROT_READ, MAP_SHARED, file, 0n);
    expect(syscalls.copyOutSync(address, new Uint8Array(1))).toBe(-errno.EFAULT);
    syscalls.munmapSync(address, 4096);
    syscalls.closeSync(file);
    expect(openFiles()).toHaveLength(before.length + 1);
    syscalls.dispose();
    expect(openFiles()).toEqual(before);
  });
});
