// @ts-check
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Failure } from '../host/failure.mjs';
import { findProgram } from '../host/processes.mjs';
import { CHARACTER_DEVICE, DATA, FOLDER, PROGRAM, packCpio } from './cpio.mjs';

const INIT = fileURLToPath(new URL('init', import.meta.url));

/**
 * Whether an ELF program needs no dynamic loader: it has no PT_INTERP among its program headers.
 * @param {Buffer} elf 64-bit, little-endian
 */
export function isStatic(elf) {
  if (elf.length < 64 || elf.readUInt32BE(0) !== 0x7f454c46) return false;
  const [start, size, count] = [Number(elf.readBigUInt64LE(32)), elf.readUInt16LE(54), elf.readUInt16LE(56)];
  for (let i = 0; i < count; i++) if (elf.readUInt32LE(start + i * size) === 3) return false;
  return true;
}

function readBusybox() {
  const file = findProgram('busybox');
  const busybox = file === undefined ? Buffer.alloc(0) : readFileSync(file);
  if (isStatic(busybox)) return busybox;
  throw new Failure(
    `needs a busybox that is linked statically (${file ?? 'none is installed'}); as root: apt-get install busybox-static`,
  );
}

/**
 * The file the guest starts from, made once for each init, busybox and set of modules.
 * @param {string} folder
 * @param {readonly import('./modules.mjs').Module[]} modules in the order in which they load
 * @returns {string}
 */
export function ensureInitramfs(folder, modules) {
  const [init, busybox] = [readFileSync(INIT), readBusybox()];
  const archive = () =>
    packCpio([
      ...['bin', 'dev', 'low', 'modules', 'new', 'proc', 'sys', 'up'].map((name) => ({ name, mode: FOLDER })),
      { name: 'dev/console', mode: CHARACTER_DEVICE, device: /** @type {[number, number]} */ ([5, 1]) },
      { name: 'dev/kmsg', mode: CHARACTER_DEVICE, device: /** @type {[number, number]} */ ([1, 11]) },
      { name: 'bin/busybox', mode: PROGRAM, data: busybox },
      { name: 'init', mode: PROGRAM, data: init },
      ...modules.map(({ name, data }, index) => ({
        name: `modules/${String(index).padStart(3, '0')}-${name}.ko`,
        mode: DATA,
        data,
      })),
    ]);
  const hash = createHash('sha256').update(init).update(busybox);
  for (const { data } of modules) hash.update(data);
  const file = join(folder, `${hash.digest('hex').slice(0, 16)}.cpio`);
  if (existsSync(file)) return file;
  mkdirSync(folder, { recursive: true });
  removeAbandoned(folder);
  const fresh = `${file}.${process.pid}`;
  writeFileSync(fresh, archive());
  renameSync(fresh, file);
  return file;
}

/**
 * Parts that killed labs left; another lab's part is younger than a minute.
 * @param {string} folder
 */
function removeAbandoned(folder) {
  for (const name of readdirSync(folder)) {
    const file = join(folder, name);
    const stat = statSync(file, { throwIfNoEntry: false });
    if (!name.endsWith('.cpio') && stat !== undefined && Date.now() - stat.mtimeMs > 60_000)
      rmSync(file, { force: true });
  }
}
