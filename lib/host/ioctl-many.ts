/** One ioctl over a list of arguments, in one crossing. */

import type { ErrnoName } from '../abi/errno.ts';
import { checkBigint, wrongType, wrongValue } from '../abi/invalid.ts';
import { type Ioctl, type IoctlIn, type IoctlOut, requestSize } from '../abi/ioctl.ts';
import { requestName } from '../abi/table.ts';
import type { Syscalls } from '../syscalls/seam.ts';
import type { KernelError } from './errors.ts';
import { prepareIoctl } from './ioctl.ts';
import { failure } from './result.ts';

interface Many<Out> {
  /** How many succeeded: all of them, or those before the one that was refused. */
  readonly completed: number;
  /** The last answer: what the last success returned, or -errno. */
  readonly ret: number;
  /** The structs as the kernel left them, the refused one included; empty for a request without a struct. */
  readonly outs: readonly Out[];
}

export type ManyOutcome<Out> =
  | ({ readonly ok: true } & Many<Out>)
  | ({ readonly ok: false; readonly code: ErrnoName; readonly errno: number; readonly error: KernelError } & Many<Out>);

export async function issueMany<I extends Ioctl>(
  syscalls: Syscalls,
  fd: number,
  ioctl: I,
  list: readonly IoctlIn<I>[],
): Promise<ManyOutcome<IoctlOut<I>>> {
  if (!Array.isArray(list)) throw wrongType('list', 'a list of arguments', list);
  // An answer is kept for the last one only, so every other fd would be lost.
  if (ioctl.returns === 'fd' || ioctl.newFd !== undefined)
    throw wrongValue('ioctl', 'one that does not return fds', requestName(ioctl));
  if ((ioctl.struct?.size ?? 0) !== requestSize(ioctl.request)) {
    throw wrongValue('ioctl', 'one whose request number tells the size of its struct', requestName(ioctl));
  }
  const bytes = encodeAll(ioctl, list);
  const { completed, result: ret } = await syscalls.ioctlMany(fd, ioctl.request, bytes);
  const outs = decodeAll(ioctl, bytes, ret < 0 ? completed + 1 : completed) as IoctlOut<I>[];
  if (ret >= 0) return { ok: true, completed, ret, outs };
  const { error } = prepareIoctl(fd, ioctl, list[completed] as IoctlIn<I>).finish(ret) as { error: KernelError };
  const { errorOffset, args } = error;
  const call = { syscall: 'ioctl', request: requestName(ioctl), fd, completed, ...(args && { args }) };
  return { ...failure(errorOffset === undefined ? call : { ...call, errorOffset }, ret), completed, ret, outs };
}

function encodeAll(ioctl: Ioctl, list: readonly unknown[]): Uint8Array | BigUint64Array {
  const { struct } = ioctl;
  if (!struct) {
    const max = BigInt(Number.MAX_SAFE_INTEGER);
    return BigUint64Array.from(list, (value, index) => checkBigint(`list[${index}]`, value, 0n, max));
  }
  const bytes = new Uint8Array(struct.size * list.length);
  list.forEach((values, index) => {
    bytes.set(struct.encode(values as object), index * struct.size);
  });
  return bytes;
}

function decodeAll(ioctl: Ioctl, bytes: Uint8Array | BigUint64Array, count: number): unknown[] {
  const { struct } = ioctl;
  if (!struct || !(bytes instanceof Uint8Array)) return [];
  return Array.from({ length: count }, (_, i) => struct.decode(bytes.subarray(i * struct.size, (i + 1) * struct.size)));
}
