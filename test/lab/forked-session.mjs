// @ts-check
// A lab to be killed: forked-session.mjs QEMU
import { startSession } from '../../scripts/lab/machine/session.mjs';

const machine = {
  kernel: '/kernel',
  cpus: '1',
  memory: '1G',
  accel: 'tcg',
  iommu: 'none',
  devices: [],
  keep: [],
  terminal: false,
  append: [],
  extra: [],
};
const orders = {
  command: ['true'],
  cwd: '/',
  env: {},
  keep: [],
  vfio: [],
  terminal: false,
  input: false,
  size: undefined,
};
const session = { machine, orders, initramfs: '/i', timeout: 100, qemu: process.argv[2] ?? '' };
await startSession(session, { out: process.stdout, err: process.stderr }).outcome;
