/** How much memory this process may have pinned, by the files that tell. */

import type { Host } from '../kvm/index.ts';

const CAP_IPC_LOCK = 14n;

/** Bytes; or why there is no limit to run into. */
export async function memlockLimit({ raw: { syscalls } }: Host): Promise<number | string> {
  const read = async (path: string): Promise<string | undefined> => {
    const fd = await syscalls.open(path, 0);
    if (fd < 0) return undefined;
    const bytes = new Uint8Array(4096);
    const length = await syscalls.read(fd, bytes);
    await syscalls.close(fd);
    return length < 0 ? undefined : Buffer.from(bytes.subarray(0, length)).toString();
  };
  const limit = /^Max locked memory\s+(\S+)/m.exec((await read('/proc/self/limits')) ?? '')?.[1];
  const capabilities = /^CapEff:\s+([0-9a-f]+)/m.exec((await read('/proc/self/status')) ?? '')?.[1];
  if (limit === undefined || capabilities === undefined) return '/proc does not tell the limit of locked memory';
  if (limit === 'unlimited') return 'this process may lock as much memory as it likes (ulimit -l)';
  if ((BigInt(`0x${capabilities}`) >> CAP_IPC_LOCK) & 1n) return 'this process has CAP_IPC_LOCK, which lifts the limit';
  return Number(limit);
}
