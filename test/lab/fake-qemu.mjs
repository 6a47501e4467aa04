#!/usr/bin/env node
// @ts-check
// Stands in for QEMU and the guest in it: the same sockets, and a guest that does what $LAB_TEST_GUEST says.
import { spawn } from 'node:child_process';
import { Socket } from 'node:net';
import { createInterface } from 'node:readline';

const guest = process.env['LAB_TEST_GUEST'] ?? '';
const open = (/** @type {number} */ fd) => new Socket({ fd, readable: true, writable: true });
const [log, monitor, control, out, err, input] = [open(4), open(5), open(6), open(7), open(8), open(9)];
const kernel = (/** @type {string} */ line) => log.write(`[    1.000000] ${line}\r\n`);

monitor.on('data', (chunk) => {
  if (!chunk.includes('nmi')) return;
  kernel('Kernel panic - not syncing: NMI: Not continuing');
  if (guest !== 'deaf') setTimeout(() => process.exit(0), 20);
});

/**
 * @param {string} token
 * @param {number} status
 */
function finish(token, status) {
  // In parts, and the status first: the order is not given.
  control.write(`status ${status}\n`);
  out.write(token.slice(0, 9));
  setTimeout(() => out.write(token.slice(9)), 10);
  err.write(token);
}

/** @type {Record<string, (token: string) => void>} */
const guests = {
  talks(token) {
    kernel('lab: the command starts');
    out.write('to stdout\n');
    err.write('to stderr\n');
    finish(token, 7);
  },
  warns(token) {
    kernel('lab: the command starts');
    kernel('WARNING: mm/gup.c:1 at f+0x1/0x2, CPU#0: sh/1');
    finish(token, 0);
  },
  panics() {
    kernel('Kernel panic - not syncing: sysrq triggered crash');
    setTimeout(() => process.exit(0), 20);
  },
  refuses() {
    kernel('lab: no overlay: CONFIG_OVERLAY_FS (not as a module)');
    setTimeout(() => process.exit(0), 20);
  },
  floods(token) {
    for (let i = 0; i < 100; i++) out.write('x'.repeat(100_000));
    finish(token, 0);
  },
  echoes(token) {
    input.on('data', (chunk) => out.write(chunk));
    input.on('end', () => finish(token, 0));
  },
  hangs() {
    out.write('hanging\n');
  },
  deaf() {},
  forks() {
    const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
    out.write(`${process.pid} ${child.pid}\n`);
  },
};

if (guest === 'refused') {
  process.stderr.write('fake-qemu: no such option\n');
  process.exit(1);
}
let token = '';
createInterface({ input: control }).on('line', (line) => {
  if (line.startsWith('token=')) token = line.slice('token='.length);
  if (line === 'bye') process.exit(0);
  if (!line.startsWith('command=')) return;
  if (guest !== 'deaf') control.write('started\n');
  guests[guest]?.(token);
});
