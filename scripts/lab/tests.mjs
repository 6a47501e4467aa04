// @ts-check
/**
 * What `lab test` runs, and in which kernels; each test in a machine of its own. One more test is one more entry.
 *
 * @typedef {object} LabTest
 * @property {string} name
 * @property {string[]} command
 * @property {boolean} ktap      whether it prints KTAP: then a "not ok", or no "ok" at all, is a failure whatever its status
 * @property {number} timeout    seconds
 * @property {number} [cpus]     default: 1. Machines run side by side, and a second CPU of one spins while the first waits
 *                               for its turn
 * @property {string[]} [options] of `lab run`
 * @property {readonly string[]} [kernels] the only ones it is for, by name
 * @property {boolean} [once]    on the first kernel only: what it tests is the same in all of them
 */

/**
 * The code that V8 compiles, an emulated processor compiles once more, which takes longer than to interpret it: with
 * compilers, and threads of V8's that share the one CPU, the tests take half as long again.
 */
const node = ['node', '--jitless', '--no-expose-wasm', '--single-threaded'];

/** Run on the host before anything else: the guest has neither a compiler's time nor a network. */
export const prepare = [
  'bash',
  '-c',
  `set -euo pipefail
  . scripts/setup
  setup
  scripts/bundle
  mkdir -p .cache/lab
  cc -std=gnu11 -O1 -Wall -Wextra -o .cache/lab/observe test/observations/*.c`,
];

/**
 * Built when they are not there, as by `lab build`; paths are relative to the project's folder. `--kernel` stands in for
 * all of them.
 * @type {readonly { name: string, source?: string, patches?: string, config?: string }[]}
 */
export const kernels = [{ name: 'default' }, { name: 'rfc-convert', patches: 'rfc-convert' }];

/**
 * The mock against the kernel, so many steps of each family. The same calls each time: `scripts/differential` without a
 * seed makes others, and by --steps as many as there is time for.
 *
 * @param {string[]} families
 * @param {{ steps: number, seed: number }} calls
 */
const differential = (families, { steps, seed }) => ({
  command: [
    ...node,
    ...['.cache/bundle/differential.js', '--steps', String(steps), '--seed', String(seed)],
    ...families.flatMap((family) => ['--family', family]),
  ],
  ktap: false,
  timeout: 600,
});

const edu = ['--device', 'edu', '--iommu', 'intel'];

/** @param {string[]} options */
const selftest = (...options) => [...node, '.cache/bundle/gmem.js', 'selftest', '--backend', 'native', ...options];

/** A file of cases of the lab's own. @param {string} name @param {string[]} options */
const ownCases = (name, ...options) => [...node, `.cache/bundle/${name}.js`, '--backend', 'native', ...options];

/** @type {readonly LabTest[]} */
export const tests = [
  {
    name: 'selftest',
    // A guest that has 2 MiB turned page by page takes half a minute of an emulated CPU.
    command: selftest(
      '--timeout',
      '120',
      ...['race_*', 'iommu-*', 'vfio-*', 'guest-ram-*'].flatMap((name) => ['-T', name]),
    ),
    ktap: true,
    timeout: 900,
  },
  { name: 'differential-kvm', ...differential(['kvm'], { steps: 20_000, seed: 7215 }) },
  {
    name: 'guest-ram',
    command: selftest('-t', 'guest-ram-*'),
    options: edu,
    ktap: true,
    once: true,
    timeout: 400,
  },
  {
    name: 'guest-ram-in-place',
    // The ways to VFIO are the same as in the first kernel, and each DMA of the device takes 100 ms.
    command: selftest('-t', 'guest-ram-*', '-V', 'type1', '-V', 'compat-*'),
    options: edu,
    ktap: true,
    kernels: ['rfc-convert'],
    timeout: 400,
  },
  {
    name: 'races',
    command: selftest('-t', 'race_*'),
    cpus: 2,
    ktap: true,
    timeout: 200,
  },
  {
    name: 'iommu',
    command: selftest('-t', 'iommu-*', '-t', 'vfio-*'),
    options: edu,
    ktap: true,
    once: true,
    timeout: 400,
  },
  {
    name: 'vfio-amd',
    command: selftest('-t', 'vfio-dma*'),
    options: ['--device', 'edu', '--iommu', 'amd'],
    ktap: true,
    once: true,
    timeout: 400,
  },
  {
    name: 'memlock',
    // Root may lock as much as it likes, so it gives up that right, and is given a limit of 8 pages.
    command: [
      ...['setpriv', '--bounding-set', '-ipc_lock', 'prlimit', '--memlock=32768'],
      ...selftest('-t', 'iommu-memlock*'),
    ],
    ktap: true,
    once: true,
    timeout: 200,
  },
  {
    name: 'lent-device',
    // Each of its four cases starts another Node.js.
    command: ownCases('vfio-lent-device', '--timeout', '120'),
    options: ['--device', 'e1000', '--iommu', 'intel'],
    ktap: true,
    once: true,
    timeout: 300,
  },
  {
    name: 'memory-error',
    command: ownCases('memory-error'),
    ktap: true,
    once: true,
    timeout: 100,
  },
  {
    name: 'rare-exits',
    command: ownCases('vcpu-rare-exits'),
    ktap: true,
    once: true,
    timeout: 100,
  },
  {
    name: 'differential-iommu',
    ...differential(['iommufd', 'type1', 'cdev'], { steps: 1_700, seed: 7215 }),
    options: edu,
    once: true,
  },
  {
    name: 'observations',
    command: ['.cache/lab/observe', 'test/observations/rfc-convert.txt'],
    ktap: true,
    timeout: 60,
    kernels: ['rfc-convert'],
  },
];
