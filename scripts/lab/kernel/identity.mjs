// @ts-check
import { createHash } from 'node:crypto';

/**
 * Which kernel it is: what it is built from and how. Everything is decided by this, before anything is fetched or built.
 * @typedef {object} Identity
 * @property {string} source    Debian's package and version, or the digest of a folder
 * @property {string} [folder]  the folder that is built in place, without a copy: given by --source, no patches
 * @property {string[]} patches digests
 * @property {string} config    digest
 */

/**
 * A finished kernel, as kernel.json in its folder says.
 * @typedef {Identity & { id: string, release: string, seconds: number, built: number }} KernelRecord
 */

/**
 * @param {Identity} identity
 * @returns {string} 16 hexadecimal digits
 */
export function identify({ source, patches, config }) {
  // The folder is left out: the same files make the same kernel wherever they are.
  return createHash('sha256')
    .update(JSON.stringify([source, patches, config]))
    .digest('hex')
    .slice(0, 16);
}

/**
 * The kernel whose tree and objects a new one starts from, so that make compiles only what differs.
 *
 * make judges by file times. A tree that starts as the donor's and then gets more patches has newer files exactly where
 * it differs; a donor with other patches would leave objects newer than sources they were not made from. So a donor's
 * patches must be the beginning of the new ones. A folder built in place is the user's own and always moves forward.
 * A differing config does no harm: kbuild rebuilds what depends on a changed option.
 * @param {readonly KernelRecord[]} records
 * @param {Identity} wanted
 * @returns {KernelRecord | undefined}
 */
export function chooseDonor(records, wanted) {
  return records
    .filter((record) =>
      wanted.folder === undefined
        ? record.folder === undefined &&
          record.source === wanted.source &&
          record.patches.every((digest, index) => digest === wanted.patches[index])
        : record.folder === wanted.folder,
    )
    .sort(
      (a, b) =>
        b.patches.length - a.patches.length ||
        Number(b.config === wanted.config) - Number(a.config === wanted.config) ||
        b.built - a.built,
    )[0];
}
