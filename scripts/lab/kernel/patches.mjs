// @ts-check
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Failure } from '../host/failure.mjs';

/**
 * @typedef {object} Patch
 * @property {string} name
 * @property {string} text
 * @property {string} digest
 */

const NAMES = /\.(patch|diff|mbox|mbx|eml)$/;
const HAS_DIFF = /^(diff --git |--- \S)/m;

/**
 * A mailbox holds several messages, and patch(1) is fed one at a time: a series may change a file several times.
 * @param {string} text
 * @returns {string[]} the parts that hold a diff; a cover letter holds none
 */
export function splitMailbox(text) {
  return text.split(/^(?=From \S+ (?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) )/m).filter((part) => HAS_DIFF.test(part));
}

/**
 * The order patches are applied in: that of a quilt `series` file where there is one, else that of their names.
 * @param {string[]} entries names in the folder
 * @param {string | undefined} series text of the `series` file
 */
export function orderPatches(entries, series) {
  if (series === undefined) return entries.filter((name) => NAMES.test(name)).sort();
  return series
    .split('\n')
    .map(
      (line) =>
        line
          .replace(/(^|\s)#.*/, '')
          .trim()
          .split(/\s+/)[0] ?? '',
    )
    .filter((name) => name !== '');
}

/** The series that come with the lab. */
const OWN = fileURLToPath(new URL('../patches', import.meta.url));

/**
 * @param {string} given a folder, or the bare name of a series that comes with the lab
 * @param {string} from  folder a path is relative to
 */
export function findPatches(given, from) {
  const own = join(OWN, given);
  return !/^\.|\//.test(given) && existsSync(own) ? own : resolve(from, given);
}

/**
 * @param {string | undefined} folder
 * @returns {Patch[]}
 */
export function readPatches(folder) {
  if (folder === undefined) return [];
  let entries;
  try {
    entries = readdirSync(folder);
  } catch (error) {
    throw new Failure(`cannot read the patches: ${/** @type {Error} */ (error).message}`);
  }
  const series = entries.includes('series') ? readFileSync(join(folder, 'series'), 'utf8') : undefined;
  const patches = orderPatches(entries, series).flatMap((name) => readPatch(folder, name));
  if (patches.length === 0) {
    throw new Failure(`no patches in ${folder}: neither a series file nor *.patch, *.diff, *.mbox, *.mbx or *.eml`);
  }
  return patches;
}

/**
 * @param {string} folder
 * @param {string} name
 * @returns {Patch[]}
 */
function readPatch(folder, name) {
  // latin1 keeps every byte: kernel patches are not always UTF-8.
  let text;
  try {
    text = readFileSync(join(folder, name), 'latin1');
  } catch (error) {
    throw new Failure(`cannot read a patch of the series: ${/** @type {Error} */ (error).message}`);
  }
  const parts = splitMailbox(text);
  return parts.map((part, index) => ({
    name: parts.length === 1 ? name : `${name} (${index + 1} of ${parts.length})`,
    text: part,
    digest: createHash('sha256').update(part, 'latin1').digest('hex'),
  }));
}
