/** A copy of the compiled package in which the chosen files can be broken. */

import { cp, mkdtemp, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ts from 'typescript';
import { mutate } from './mutants.mjs';

const COMPILER = {
  target: ts.ScriptTarget.ES2023,
  module: ts.ModuleKind.ESNext,
  rewriteRelativeImportExtensions: true,
  verbatimModuleSyntax: true,
};

/** Source files, of files and folders. */
export async function sourcesOf(root, paths) {
  const found = [];
  for (const path of paths) {
    if (!(await stat(join(root, path))).isDirectory()) found.push(path);
    else {
      const entries = await readdir(join(root, path), { recursive: true });
      found.push(...entries.filter((name) => name.endsWith('.ts')).map((name) => join(path, name)));
    }
  }
  return found.filter((path) => !path.endsWith('index.ts')).sort();
}

export async function build(root, paths) {
  const directory = await mkdtemp(join(tmpdir(), 'guest-memfd-mutants-'));
  for (const name of ['dist', 'package.json']) {
    await cp(join(root, name), join(directory, name), { recursive: true });
  }
  const mutants = [];
  const texts = {};
  for (const path of paths) {
    const broken = mutate(path, await readFile(join(root, path), 'utf8'), mutants.length);
    mutants.push(...broken.mutants);
    texts[path] = broken.text;
    const { outputText } = ts.transpileModule(broken.text, { fileName: path, compilerOptions: COMPILER });
    await writeFile(join(directory, path.replace(/^lib/, 'dist').replace(/\.ts$/, '.js')), outputText);
  }
  return { directory, mutants, texts };
}
