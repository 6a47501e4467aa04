// @ts-check
/**
 * What a kernel has not built in, for kernels that were not made for the lab, a distribution's for instance: the modules it
 * needs to start the command, and those that are tested.
 *
 * @typedef {object} Module
 * @property {string} name as `lsmod` has it
 * @property {Uint8Array} data
 */
import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Failure } from '../host/failure.mjs';

const WANTED = [
  ...['virtio_pci', 'virtio_console', '9pnet_virtio', '9p', 'overlay'],
  ...['kvm_amd', 'kvm_intel', 'iommufd', 'vfio_iommu_type1', 'vfio_pci'],
];

/** @type {Readonly<Record<string, (file: string) => Uint8Array>>} */
const READERS = {
  '.ko': (file) => readFileSync(file),
  '.ko.gz': (file) => unpacked('gzip', file),
  '.ko.xz': (file) => unpacked('xz', file),
  '.ko.zst': (file) => unpacked('zstd', file),
};

/** @param {string} program @param {string} file */
function unpacked(program, file) {
  try {
    return execFileSync(program, ['-dc', file], { maxBuffer: 2 ** 28, stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    throw new Failure(`cannot unpack ${file} with ${program}: ${/** @type {Error} */ (error).message}`);
  }
}

const nameOf = (/** @type {string} */ file) =>
  file
    .replace(/^.*\//, '')
    .replace(/\.ko(\.\w+)?$/, '')
    .replaceAll('-', '_');

/**
 * The modules a kernel needs, those first that others need.
 * @param {string} folder the kernel's own in /lib/modules
 * @returns {Module[]}
 */
export function modulesFrom(folder) {
  if (!existsSync(join(folder, 'kernel'))) {
    throw new Failure(`no modules in ${folder}: it has to be the kernel's own folder of /lib/modules`);
  }
  const files = new Map(
    readdirSync(join(folder, 'kernel'), { recursive: true, encoding: 'utf8' })
      .filter((file) => /\.ko(\.\w+)?$/.test(file))
      .map((file) => [nameOf(file), join(folder, 'kernel', file)]),
  );
  /** @type {Map<string, Module>} */
  const found = new Map();
  const add = (/** @type {string} */ name) => {
    const file = files.get(name);
    // What is not there is built in, or the kernel has it not at all.
    if (file === undefined || found.has(name)) return;
    const data = readModule(file);
    for (const needed of dependencies(data)) add(needed);
    found.set(name, { name, data });
  };
  for (const name of WANTED) add(name);
  return [...found.values()];
}

/** @param {string} file */
function readModule(file) {
  const read = READERS[/\.ko(\.\w+)?$/.exec(file)?.[0] ?? ''];
  if (read === undefined) throw new Failure(`cannot read ${file}: a module is .ko, .ko.gz, .ko.xz or .ko.zst`);
  return read(file);
}

/**
 * From its .modinfo, where every entry ends with a zero.
 * @param {Uint8Array} data
 */
function dependencies(data) {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const at = bytes.indexOf('\0depends=');
  if (at < 0) return [];
  const start = at + '\0depends='.length;
  const list = bytes.toString('latin1', start, bytes.indexOf(0, start));
  return list === '' ? [] : list.split(',').map((name) => name.replaceAll('-', '_'));
}

/**
 * Where a bzImage's modules are when they were installed with it, or unpacked beside it. It may be among them itself.
 * @param {string} image
 * @returns {string | undefined}
 */
export function findModules(image) {
  const release = releaseOf(image);
  if (release === undefined) return undefined;
  const beside = dirname(image);
  const folders = [join(beside, '..', release), join(beside, '../lib/modules', release), join('/lib/modules', release)];
  return folders.find((folder) => existsSync(join(folder, 'kernel')));
}

/**
 * The first word of the version in the setup header (Documentation/arch/x86/boot.rst, kernel_version).
 * @param {string} image
 */
function releaseOf(image) {
  const setup = Buffer.alloc(0x8000);
  const file = openSync(image, 'r');
  try {
    readSync(file, setup, 0, setup.length, 0);
  } finally {
    closeSync(file);
  }
  if (setup.toString('latin1', 0x202, 0x206) !== 'HdrS') return undefined;
  const start = 0x200 + setup.readUInt16LE(0x20e);
  return /^\S+/.exec(setup.toString('latin1', start, start + 128))?.[0];
}
