// @ts-check
import { createWriteStream, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { finished } from 'node:stream/promises';
import { Failure } from './failure.mjs';
import { startTied } from './processes.mjs';
import { showProgress } from './progress.mjs';

/**
 * A log that programs' output is appended to, with a line of progress on the terminal meanwhile.
 * @typedef {object} Log
 * @property {string} file
 * @property {(what: string, command: string[], options?: LoggedOptions) => Promise<void>} run
 *   throws a Failure that names the log and shows what looks like the cause
 */

/**
 * @typedef {object} LoggedOptions
 * @property {string} [cwd]
 * @property {NodeJS.ProcessEnv} [env]
 * @property {RegExp} [counts] lines that are counted in the progress line
 * @property {string} [unit]   what one such line is
 */

/** What tells a reader why a build failed. Make's own "Error 2" lines only repeat that it did. */
const TELLING = /error|undefined reference|No such file|FAILED|saving rejects|^E: |not found/i;
const NOISE = /^make(\[\d+\])?: \*\*\* .*(Error \d+|Waiting for unfinished jobs)|^\s+(CC|AS|LD|AR|HOSTCC)\s/;
const SHOWN = 12;

/**
 * @param {string} file
 * @returns {Log}
 */
export function openLog(file) {
  mkdirSync(dirname(file), { recursive: true });
  let flags = 'w';
  return {
    file,
    async run(what, command, options = {}) {
      const out = createWriteStream(file, { flags });
      flags = 'a';
      out.write(`$ ${command.join(' ')}\n`);
      let count = 0;
      /** @type {string[]} */
      const telling = [];
      const progress = showProgress(() => (options.unit === undefined ? what : `${what}: ${count} ${options.unit}`));
      const { child, ended } = startTied(command, options);
      const take = (/** @type {string} */ line) => {
        out.write(`${line}\n`);
        if (options.counts?.test(line)) count++;
        if (TELLING.test(line) && !NOISE.test(line) && telling.length < SHOWN) telling.push(line);
      };
      const readers = [child.stdout, child.stderr].map(async (stream) => {
        if (stream === null) return;
        for await (const line of createInterface({ input: stream })) take(line);
      });
      const ending = await ended;
      await Promise.all(readers);
      progress.stop();
      await finished(out.end());
      if (ending !== 0) {
        const cause = telling.map((line) => `  ${line}`).join('\n');
        throw new Failure(`${what}: failed (status ${ending}); the log is ${file}${cause === '' ? '' : `\n${cause}`}`);
      }
    },
  };
}
