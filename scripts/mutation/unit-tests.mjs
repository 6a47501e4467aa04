/** What the cases let pass is shown to the unit tests: of details that no case can reach, such as how firmware refuses. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A run takes a few seconds; one that goes on so long never ends. */
const PATIENCE_MS = 60_000;

export class UnitTests {
  #root;
  #sources;
  #report;
  /** By a change's number, the files of tests that reach it. */
  #reaching;

  constructor(root, directory) {
    this.#root = root;
    this.#sources = join(directory, 'sources.json');
    this.#report = join(directory, 'reached.jsonl');
  }

  /** @param texts the breakable source of each file, by its path in the project */
  async prepare(texts) {
    const absolute = Object.entries(texts).map(([path, text]) => [join(this.#root, path), text]);
    await writeFile(this.#sources, JSON.stringify(Object.fromEntries(absolute)));
  }

  /** Whether one fails. */
  async notice(number) {
    this.#reaching ??= await this.#survey();
    const files = this.#reaching.get(number);
    return files !== undefined && (await this.#fail({ GMEM_MUTANT: String(number) }, files));
  }

  /** What is reached while modules are loaded is reached by every file, though it happens once in a process. */
  async #survey() {
    if (await this.#fail({ GMEM_MUTANTS_REACHED: this.#report }, [])) {
      throw new Error('the unit tests fail with nothing broken');
    }
    const lines = (await readFile(this.#report, 'utf8')).trim().split('\n');
    const notes = lines.map((line) => JSON.parse(line));
    const all = notes.flatMap(({ file }) => file ?? []);
    const reaching = new Map();
    for (const { file, reached } of notes) {
      for (const number of reached) {
        if (file === null) reaching.set(number, all);
        else if (reaching.get(number) !== all) reaching.set(number, [...(reaching.get(number) ?? []), file]);
      }
    }
    return reaching;
  }

  async #fail(how, files) {
    const vitest = join(this.#root, 'node_modules/.bin/vitest');
    const config = join(this.#root, 'scripts/mutation/vitest.config.mjs');
    const child = spawn(vitest, ['run', '--config', config, ...files], {
      cwd: this.#root,
      stdio: 'ignore',
      timeout: PATIENCE_MS,
      env: { ...process.env, ...how, GMEM_MUTANT_SOURCES: this.#sources },
    });
    const [code] = await once(child, 'exit');
    return code !== 0;
  }
}
