// @ts-check
/**
 * The "newc" archive the kernel unpacks as its initramfs (Documentation/driver-api/early-userspace/buffer-format.rst):
 * a header of 8-digit hexadecimal fields, the name and the data, each padded to 4 bytes.
 *
 * @typedef {object} Entry
 * @property {string} name      without a leading slash
 * @property {number} mode      type and permissions, as st_mode
 * @property {Uint8Array} [data]
 * @property {[number, number]} [device] major and minor
 */

export const FOLDER = 0o040755;
export const PROGRAM = 0o100755;
export const DATA = 0o100644;
export const CHARACTER_DEVICE = 0o020600;

const TRAILER = 'TRAILER!!!';

/**
 * @param {readonly Entry[]} entries
 * @returns {Buffer}
 */
export function packCpio(entries) {
  const all = [...entries, { name: TRAILER, mode: 0 }];
  return Buffer.concat(all.flatMap((entry, index) => packEntry(entry, entry.name === TRAILER ? 0 : index + 1)));
}

/**
 * @param {Entry} entry
 * @param {number} inode
 */
function packEntry({ name, mode, data = new Uint8Array(), device = [0, 0] }, inode) {
  const path = Buffer.from(`${name}\0`);
  const links = (mode & 0o170000) === 0o040000 ? 2 : 1;
  // inode, mode, uid, gid, links, time, size, device of the file (2), device it is (2), length of the name, checksum
  const fields = [inode, mode, 0, 0, links, 0, data.length, 0, 0, ...device, path.length, 0];
  const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`;
  return [pad(Buffer.concat([Buffer.from(header), path])), pad(Buffer.from(data))];
}

/** @param {Buffer} bytes */
function pad(bytes) {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
}
