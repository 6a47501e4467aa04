/** One ioctl of iommufd or VFIO, and all that came back of it. */

import type { IoctlOut, StructIoctl } from '../../../lib/abi/ioctl.ts';
import { pointerFields, pointersIn } from '../../../lib/abi/pointer.ts';
import { claimedSize } from '../../../lib/abi/size-prefixed.ts';
import type { Call } from '../command.ts';
import type { Seen } from '../seen.ts';
import type { Side } from '../side.ts';
import type { IommuFd } from './world.ts';

// biome-ignore lint/suspicious/noExplicitAny: any struct's fields.
type AnyIoctl = StructIoctl<any>;

export interface Issued extends Seen {
  readonly out: Record<string, unknown>;
}

/** Fields that changed are noted, but for those in `hidden`, which mean something else on each kernel. */
export function issue(side: Side, fd: number, ioctl: AnyIoctl, values: object, hidden: readonly string[] = []): Issued {
  const { struct } = ioctl;
  const encoded = struct.encode(values as never);
  const bytes = new Uint8Array(Math.max(encoded.length, claimedSize(ioctl.request, encoded)));
  bytes.set(encoded);
  return issueBytes(side, fd, ioctl, bytes, pointersIn(struct, values), hidden);
}

/** The same with the bytes as they are. */
export function issueBytes(
  side: Side,
  fd: number,
  ioctl: AnyIoctl,
  bytes: Uint8Array,
  pointers: ReturnType<typeof pointersIn> = [],
  hidden: readonly string[] = [],
): Issued {
  const before = bytes.slice();
  const ret = side.syscalls.ioctlSync(fd, ioctl.request, bytes, pointers);
  for (const { at } of pointerFields(ioctl.struct))
    if (at + 8 <= bytes.length) bytes.set(before.subarray(at, at + 8), at);
  const out = decode(ioctl, bytes);
  const changed = Buffer.compare(before, bytes) === 0 ? [] : changes(decode(ioctl, before), out, hidden);
  const buffers = pointers.map(({ to }) => to);
  return {
    ret,
    out,
    ...(changed.length > 0 && { note: changed.join(' ') }),
    ...(buffers.length > 0 && { bytes: Buffer.concat(buffers) }),
  };
}

function decode({ struct }: AnyIoctl, bytes: Uint8Array): Record<string, unknown> {
  const whole = new Uint8Array(Math.max(bytes.length, struct.size));
  whole.set(bytes);
  return struct.decode(whole) as Record<string, unknown>;
}

function changes(before: Record<string, unknown>, after: Record<string, unknown>, hidden: readonly string[]): string[] {
  return Object.entries(after).flatMap(([name, value]) => {
    const old = before[name];
    if (hidden.includes(name)) return [];
    if (typeof value === 'object' && value !== null)
      return changes(old as Record<string, unknown>, value as Record<string, unknown>, hidden);
    return value === old ? [] : [`${name} 0x${(value as bigint | number).toString(16)}`];
  });
}

type Out<I extends AnyIoctl> = IoctlOut<I>;

interface Parts<I extends AnyIoctl> {
  /** Without the file. */
  readonly text: string;
  readonly on: IommuFd;
  readonly ioctl: I;
  readonly values: object | ((side: Side) => object);
  readonly hidden?: readonly string[];
  /** On success, on each kernel: what was made there is to be kept. */
  keep?(side: Side, out: Out<I>, ret: number): void;
  /** Both kernels gave this answer. */
  agreed?(ret: number, out: Out<I>): void;
}

export function ioctlCall<I extends AnyIoctl>(parts: Parts<I>): Call {
  const { text, on, ioctl, values, hidden, keep, agreed } = parts;
  let last: Out<I>;
  return {
    text: text.replace('(', `(${on.name}, `).replace(', )', ')'),
    run: (side) => {
      const { out, ...answer } = issue(
        side,
        side.fd(on),
        ioctl,
        typeof values === 'function' ? values(side) : values,
        hidden,
      );
      last = out as Out<I>;
      if (answer.ret >= 0) keep?.(side, last, answer.ret);
      return keep && ioctl.returns === 'fd' ? { ...answer, ret: Math.min(answer.ret, 0) } : answer;
    },
    agreed: ({ ret }) => agreed?.(ret, last),
  };
}
