// @ts-check
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Failure } from '../host/failure.mjs';
import { capture } from '../host/processes.mjs';

/**
 * A kernel tree of the user's.
 * @param {string} given
 * @param {string} from folder the path is relative to
 * @returns {string}
 */
export function openFolder(given, from) {
  const folder = resolve(from, given);
  const makefile = join(folder, 'Makefile');
  if (
    !existsSync(join(folder, 'Kconfig')) ||
    !/^VERSION = \d/m.test(existsSync(makefile) ? readFileSync(makefile, 'utf8') : '')
  ) {
    throw new Failure(`${folder} is not the top of a kernel tree (no Makefile with VERSION, or no Kconfig)`);
  }
  return realpathSync(folder);
}

/**
 * Tells one state of a tree from another. In git it is the commit and what differs from it, so that going back to a
 * commit finds its kernel again; elsewhere it is every file's size and time, since reading 1.5 GB takes too long.
 * @param {string} folder
 * @returns {string}
 */
export function digestFolder(folder) {
  const hash = createHash('sha256');
  if (existsSync(join(folder, '.git'))) {
    const git = (/** @type {string[]} */ ...args) => capture('git', ['-C', folder, ...args]);
    hash.update(git('rev-parse', 'HEAD^{tree}')).update(git('diff', '--binary', 'HEAD'));
    const others = git('ls-files', '-z', '--others', '--exclude-standard')
      .split('\0')
      .filter((name) => name !== '');
    for (const name of others) hash.update(`${name}\0`).update(readFileSync(join(folder, name)));
  } else {
    hash.update(
      capture('find', ['.', '-type', 'f', '-printf', '%P %s %T@\\n'], { cwd: folder }).split('\n').sort().join('\n'),
    );
  }
  return hash.digest('hex');
}
