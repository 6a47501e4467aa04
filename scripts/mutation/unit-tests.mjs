/** What the cases let pass is shown to the unit tests: of details that no case can reach, such as how firmware refuses. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A run takes a few seconds; one that goes on so long never ends. */
const PATIENCE_MS = 60_000;
const WITHOUT = -1;

export class UnitTests {
  #root;
  #sources;
  #sound = false;

  constructor(root, directory) {
    this.#root = root;
    this.#sources = join(directory, 'sources.json');
  }

  /** @param texts the breakable source of each file, by its path in the project */
  async prepare(texts) {
    const absolute = Object.entries(texts).map(([path, text]) => [join(this.#root, path), text]);
    await writeFile(this.#sources, JSON.stringify(Object.fromEntries(absolute)));
  }

  /** Whether one fails. */
  async notice(number) {
    if (!this.#sound && (await this.#fail(WITHOUT))) throw new Error('the unit tests fail with nothing broken');
    this.#sound = true;
    return this.#fail(number);
  }

  async #fail(number) {
    const vitest = join(this.#root, 'node_modules/.bin/vitest');
    const config = join(this.#root, 'scripts/mutation/vitest.config.mjs');
    const env = { ...process.env, GMEM_MUTANT: String(number), GMEM_MUTANT_SOURCES: this.#sources };
    const child = spawn(vitest, ['run', '--config', config], {
      cwd: this.#root,
      stdio: 'ignore',
      timeout: PATIENCE_MS,
      env,
    });
    const [code] = await once(child, 'exit');
    return code !== 0;
  }
}
