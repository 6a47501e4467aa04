/** The library as JavaScript, for child processes and worker threads, which vitest does not transform. */

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.ESNext,
  verbatimModuleSyntax: true,
  rewriteRelativeImportExtensions: true,
};

export interface Compiled extends Disposable {
  /** For import(): the URL of a file of lib/, such as `index.js`. */
  url(file: string): string;
  /** What a process needs to find the addon from there. */
  readonly env: NodeJS.ProcessEnv;
}

/** Milliseconds: a few seconds' work, on a machine that may be busy. */
export const COMPILE_TIMEOUT = 120_000;

/** Within the repository, so that node_modules is found. */
export function compileLibrary(): Compiled {
  const cache = join(ROOT, '.cache');
  mkdirSync(cache, { recursive: true });
  const out = mkdtempSync(join(cache, 'lib-'));
  writeFileSync(join(out, 'package.json'), '{ "type": "module" }');
  const library = join(ROOT, 'lib');
  for (const file of readdirSync(library, { recursive: true, encoding: 'utf8' })) {
    if (file.endsWith('.ts')) compile(join(library, file), join(out, file.replace(/\.ts$/, '.js')));
  }
  return {
    url: (file) => new URL(`file://${join(out, file)}`).href,
    env: { ...process.env, ...addonPath() },
    [Symbol.dispose]: () => rmSync(out, { recursive: true, force: true }),
  };
}

/** The compiled files are not where the loader looks for the addon from. */
function addonPath(): { GMEM_NATIVE_PATH?: string } {
  const nodeGypBuild = createRequire(import.meta.url)('node-gyp-build') as { resolve(directory: string): string };
  try {
    return { GMEM_NATIVE_PATH: nodeGypBuild.resolve(ROOT) };
  } catch {
    // Not built: the tests that need it are skipped.
    return {};
  }
}

function compile(from: string, to: string): void {
  const { outputText } = ts.transpileModule(readFileSync(from, 'utf8'), { compilerOptions: OPTIONS, fileName: from });
  mkdirSync(dirname(to), { recursive: true });
  writeFileSync(to, outputText);
}
