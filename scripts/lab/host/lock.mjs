// @ts-check
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { Failure, say } from './failure.mjs';

/**
 * Runs `work` while holding the lock. The lock is flock(2) on a file held by a child that lives as long as its standard
 * input is open: however this process ends, the kernel closes that pipe and the lock is free.
 * @template T
 * @param {string} file
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withLock(file, work) {
  mkdirSync(dirname(file), { recursive: true });
  const holder = spawn('flock', [file, 'sh', '-c', 'echo held; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true, // Ctrl-C at the terminal is for this process to act on; the lock must outlive its clean-up.
  });
  const waiting = setTimeout(() => say('another lab is building; waiting for it'), 500);
  try {
    await new Promise((resolve, reject) => {
      holder.stdout.once('data', resolve);
      holder.once('error', () => reject(new Failure('needs flock(1), of the package util-linux')));
      holder.once('exit', (code) => reject(new Failure(`cannot lock ${file} (flock ended with status ${code})`)));
    });
  } finally {
    clearTimeout(waiting);
  }
  try {
    return await work();
  } finally {
    holder.stdin.end();
    await new Promise((resolve) => (holder.exitCode === null ? holder.once('exit', resolve) : resolve(undefined)));
  }
}
