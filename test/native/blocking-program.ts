/**
 * What the workers and processes of blocking.test.ts run: vCPUs that block for ever, and an end while they do. It is the
 * source of a function that needs nothing from outside, since the oldest Node that is supported takes no TypeScript.
 */

import type { Addon } from '../../lib/syscalls/addon.ts';

/**
 * wait: nothing more; spin: JavaScript without pause; churn: interrupts and runs again and again; idle: all have come
 * back; exit, throw, return: the end of the program itself, the last with all interrupted.
 */
export type End = 'wait' | 'spin' | 'churn' | 'idle' | 'exit' | 'throw' | 'return';

/** `tell` is called when all block. */
function program(addon: Addon, open: (path: string, flags: string) => number, end: End, tell: () => void): void {
  const call = (name: string, fd: number, request: number, flags: number, number: number): number => {
    const records = new Float64Array(6);
    const words = new Int32Array(records.buffer);
    words.set([addon.calls.indexOf(name), fd, request, flags]);
    words[10] = -1;
    records[2] = number;
    addon.run(records, 1, []);
    return records[0] as number;
  };
  const vm = call('ioctlFd', open('/dev/kvm', 'r+'), 0xae01, 0, 0);
  call('ioctl', vm, 0xae60, 0, 0);
  call('ioctlFd', vm, 0xae41, 0, 0);
  const vcpus = [1, 2, 3].map((id) => {
    const fd = call('ioctlFd', vm, 0xae41, 0, id);
    // One page, readable and writable (3), shared (1).
    return { fd, flag: BigInt(call('mmap', fd, 3, 1, 4096)) + 1n };
  });
  let back = 0;
  const runAll = (then: () => void) => {
    for (const { fd, flag } of vcpus) {
      addon.ioctlBlocking(fd, 0xae80, flag, (result) => {
        if (result !== -4) throw new Error(`answered ${result}`);
        back++;
        then();
      });
    }
  };
  const interruptAll = () => {
    for (const { fd } of vcpus) addon.interrupt(fd);
  };
  const again = () => {
    if (back % vcpus.length > 0) return;
    runAll(again);
    setImmediate(interruptAll);
  };
  const told = () => {
    if (back === vcpus.length) tell();
  };
  runAll({ churn: again, idle: told }[end as string] ?? (() => {}));
  if (end === 'idle') {
    interruptAll();
    setInterval(() => {}, 1000);
    return;
  }
  setTimeout(() => {
    tell();
    if (end === 'spin') for (;;);
    if (end === 'churn' || end === 'return') interruptAll();
    if (end === 'exit') process.exit(7);
    if (end === 'throw') throw new Error('the end');
  }, 10);
}

export const workerSource = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { openSync } = require('node:fs');
  (${program.toString()})(require(workerData.path), openSync, workerData.end, () => parentPort.postMessage('told'));
`;

export const processSource = (path: string, end: End): string => `
  (${program.toString()})(require(${JSON.stringify(path)}), require('node:fs').openSync, '${end}', () => console.log('told'));
`;
