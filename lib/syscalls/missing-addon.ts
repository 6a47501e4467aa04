/** Why there is no addon to load, told so that the reader can do something about it. */

import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { BackendUnavailableError, firstLine } from './unavailable.ts';

const COMPILERS = ['c++', 'g++', 'clang++'];

/** `path` is the binary that did not load, if one was found at all. */
export function addonUnavailable(packageRoot: string, path: string | undefined, cause: unknown) {
  const override = process.env['GMEM_NATIVE_PATH'];
  const reasons = [whatWentWrong(packageRoot, path, override, cause)];
  const fixes: string[] = [];
  if (process.platform === 'linux') {
    const compiler = findCompiler();
    if (compiler === undefined)
      reasons.push(`no C++ compiler to build it with: none of ${COMPILERS.join(', ')} is in PATH`);
    const first = compiler === undefined ? 'install a C++20 compiler, make and Python 3, then build it' : 'build it';
    fixes.push(`${first}: npx node-gyp rebuild, in ${packageRoot}`);
    fixes.push('set GMEM_NATIVE_PATH to a guest_memfd.node that was built elsewhere');
    if (override) fixes.push('unset GMEM_NATIVE_PATH, for the binary that belongs to this package');
    fixes.push("use { backend: 'ffi' }, which needs no compiler");
  }
  fixes.push("use { backend: 'mock' }, which needs no kernel either");
  return new BackendUnavailableError('native', reasons, fixes, cause);
}

function whatWentWrong(root: string, path: string | undefined, override: string | undefined, cause: unknown): string {
  if (process.platform !== 'linux') return `its system calls are Linux's, and this is ${process.platform}`;
  if (path === undefined)
    return `no binary for linux-${process.arch} in ${join(root, 'build/Release')} or ${prebuilds(root)}`;
  const from = override ? `${path} (from GMEM_NATIVE_PATH)` : path;
  return existsSync(path) ? `${from} does not load: ${firstLine(cause)}` : `${from} does not exist`;
}

function prebuilds(root: string): string {
  const directory = join(root, 'prebuilds');
  const platforms = existsSync(directory) ? readdirSync(directory) : [];
  return `${directory} (which has ${platforms.length > 0 ? platforms.join(', ') : 'none'})`;
}

function findCompiler(): string | undefined {
  const candidates = process.env['CXX'] ? [process.env['CXX'], ...COMPILERS] : COMPILERS;
  const directories = (process.env['PATH'] ?? '').split(delimiter);
  return candidates.find((name) => directories.some((directory) => isExecutable(join(directory, name))));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
