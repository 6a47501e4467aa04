/**
 * Writes that are made when this process is gone. A shell reads from a pipe whose other end only this process holds:
 * the end of the pipe is the end of the process, SIGKILL and crashes included, and a line calls the shell off.
 */

import { spawn } from 'node:child_process';
import { wrongType } from '../abi/invalid.ts';
import { checkText } from './arguments.ts';
import type { FileWrite } from './seam.ts';

/** Arguments are path, text, path, text. What closes the process's other fds may take a moment longer than its pipe. */
const SCRIPT = `
read -r line && exit
sleep 0.1
while [ $# -ge 2 ]; do
  printf %s "$2" > "$1"
  shift 2
done 2>/dev/null
`;

export function afterDeath(writes: readonly FileWrite[]): () => void {
  const list = checkWrites(writes).flatMap(({ path, text }) => [path, text]);
  const shell = spawn('/bin/sh', ['-c', SCRIPT, 'gmem-after-death', ...list], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // Nothing here waits for it, and a shell that could not be started or is gone is nothing to end the process for.
  shell.on('error', () => {});
  shell.stdin.on('error', () => {});
  shell.unref();
  (shell.stdin as unknown as { unref?(): void }).unref?.();
  return () => {
    shell.stdin.end('\n');
  };
}

/** The writes as they are now: whoever made the list may change it. */
export function checkWrites(writes: readonly FileWrite[]): readonly FileWrite[] {
  if (!Array.isArray(writes)) throw wrongType('writes', 'a list of { path, text }', writes);
  return (writes as readonly FileWrite[]).map((write) => {
    if (typeof write !== 'object' || write === null) throw wrongType('writes', 'a list of { path, text }', write);
    return { path: checkText('path', write.path), text: checkText('text', write.text) };
  });
}
