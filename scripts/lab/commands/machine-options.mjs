// @ts-check
import { realpathSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Failure, status } from '../host/failure.mjs';
import { DEFAULT_NAME, findImage } from '../kernel/store.mjs';
import { findModules } from '../machine/modules.mjs';
import { ACCELERATORS, DEVICES, IOMMUS } from '../machine/qemu.mjs';

/** @typedef {import('../options.mjs').Given} Given */

/** The project this lab is a part of: where commands run unless told otherwise. */
export const PROJECT = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));

/** @type {import('../options.mjs').Options} */
export const machineOptions = {
  kernel: { value: 'NAME|BZIMAGE', help: 'a kernel that lab build made, or an image', default: DEFAULT_NAME },
  modules: {
    value: 'DIR',
    help: "the kernel's folder of /lib/modules, for what it has not built in",
    default: 'where it is installed, or unpacked beside the image',
  },
  cpus: { value: 'N', help: "processors; anything QEMU's -smp takes", default: '2' },
  mem: { value: 'SIZE', help: 'memory; what the command writes is in it too', default: '2G' },
  device: {
    value: 'NAME',
    words: Object.keys(DEVICES),
    help: 'a PCI device, bound to vfio-pci',
    many: true,
    default: 'edu',
  },
  iommu: { value: 'KIND', words: Object.keys(IOMMUS), help: 'the IOMMU', default: 'intel' },
  accel: {
    value: 'KIND',
    words: Object.keys(ACCELERATORS),
    help: 'kvm is faster, and has vCPUs inside only where nesting is on',
    default: 'tcg',
  },
  append: { value: 'PARAMETERS', help: 'more kernel parameters', many: true },
  timeout: { value: 'SECONDS', number: true, help: 'limit for boot and command', default: '600' },
  rw: { value: 'DIR', help: 'keep what the command writes below this folder', many: true },
  cwd: { value: 'DIR', help: 'where the command runs', default: "the project's folder" },
  env: { value: 'NAME[=VALUE]', help: 'pass an environment variable', many: true },
  log: { help: "print the kernel's log as it comes" },
  'allow-warnings': { help: 'a WARN in the kernel is printed but is no failure' },
  qemu: { value: 'ARGUMENT', help: 'one more argument for QEMU', many: true },
};

/** Where the user is: npm moves to the package's folder and says where it was called. */
export function callerFolder(env = process.env) {
  return env['npm_lifecycle_event'] === undefined ? process.cwd() : (env['INIT_CWD'] ?? process.cwd());
}

/**
 * @param {string} folder
 * @param {string} from
 */
function existing(folder, from) {
  try {
    return realpathSync(resolve(from, folder));
  } catch {
    throw new Failure(`no such folder: ${folder}`, status.usage);
  }
}

/**
 * @param {Given} given
 * @param {import('../host/cache.mjs').Cache} cache
 * @param {{ terminal: boolean }} options
 */
export function machineFrom(given, cache, { terminal }) {
  const from = callerFolder();
  const kernel = findImage(cache, given.text['kernel'] ?? DEFAULT_NAME, from);
  const modules = given.text['modules'];
  const devices = given.many['device'] ?? [];
  return {
    machine: {
      kernel,
      cpus: given.text['cpus'] ?? '2',
      memory: given.text['mem'] ?? '2G',
      accel: given.text['accel'] ?? 'tcg',
      iommu: given.text['iommu'] ?? 'intel',
      devices: devices.length === 0 ? ['edu'] : devices,
      keep: (given.many['rw'] ?? []).map((folder) => existing(folder, from)),
      terminal,
      append: given.many['append'] ?? [],
      extra: given.many['qemu'] ?? [],
    },
    modules: modules === undefined ? findModules(kernel) : existing(modules, from),
    cwd: given.text['cwd'] === undefined ? PROJECT : existing(given.text['cwd'], from),
    timeout: given.number['timeout'] ?? 600,
    allowWarnings: given.on['allow-warnings'] ?? false,
    showLog: given.on['log'] ?? false,
    asked: given.many['env'] ?? [],
  };
}
