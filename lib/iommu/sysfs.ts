/** sysfs: small files, read and written whole, and links that say what belongs to what. */

import { O_CLOEXEC, O_RDONLY, O_WRONLY } from '../abi/linux.ts';
import { failure, type Result, success } from '../host/index.ts';
import type { Syscalls } from '../syscalls/seam.ts';

/** No attribute is larger than a page. */
const ROOM = 4096;

/** What a file says, without the line's end; undefined where there is no such file. */
export async function readAttribute(syscalls: Syscalls, path: string): Promise<string | undefined> {
  const fd = await syscalls.open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return undefined;
  try {
    const bytes = new Uint8Array(ROOM);
    const length = await syscalls.read(fd, bytes);
    return length < 0 ? undefined : Buffer.from(bytes.subarray(0, length)).toString().trimEnd();
  } finally {
    await syscalls.close(fd);
  }
}

/** Writes a text in one piece, as sysfs wants it. */
export async function writeAttribute(syscalls: Syscalls, path: string, text: string): Promise<Result<void>> {
  const args = { path, text };
  const fd = await syscalls.open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return failure({ syscall: 'open', args }, fd);
  try {
    const written = await syscalls.write(fd, Buffer.from(text));
    return written < 0 ? failure({ syscall: 'write', fd, args }, written) : success(undefined);
  } finally {
    await syscalls.close(fd);
  }
}

/** The last part of where a link points; undefined where there is no such link. */
export async function linkedName(syscalls: Syscalls, path: string): Promise<string | undefined> {
  const target = await syscalls.readLink(path);
  return typeof target === 'string' ? target.slice(target.lastIndexOf('/') + 1) : undefined;
}

/** The names in a directory, sorted; none where there is no such directory. */
export async function namesIn(syscalls: Syscalls, path: string): Promise<string[]> {
  const names = await syscalls.readDirectory(path);
  return typeof names === 'number' ? [] : [...names].sort();
}
