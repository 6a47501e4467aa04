/** What the cases let pass is shown to the unit tests: of details that no case can reach, such as how firmware refuses. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A run takes seconds, or half a minute where all files are asked; one that goes on so long never ends. */
const PATIENCE_MS = 120_000;

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

  /**
   * Whether one fails, of the files that reach one of these changes.
   *
   * @param {number} number The change in force.
   * @param {readonly number[]} near
   */
  async notice(number, near) {
    this.#reaching ??= await this.#survey();
    const files = new Set(near.flatMap((one) => this.#reaching.get(one) ?? []));
    return files.size > 0 && (await this.#fail({ GMEM_MUTANT: String(number) }, [...files]));
  }

  /** As `notice`, of all files. */
  async noticeAnywhere(number) {
    return await this.#fail({ GMEM_MUTANT: String(number) }, []);
  }

  /** Without what is reached while modules are loaded, which happens once in a process. */
  async #survey() {
    if (await this.#fail({ GMEM_MUTANTS_REACHED: this.#report }, [])) {
      throw new Error('the unit tests fail with nothing broken');
    }
    const lines = (await readFile(this.#report, 'utf8')).trim().split('\n');
    const notes = lines.map((line) => JSON.parse(line));
    const reaching = new Map();
    for (const { file, reached } of notes) {
      if (file === null) continue;
      for (const number of reached) reaching.set(number, [...(reaching.get(number) ?? []), file]);
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
