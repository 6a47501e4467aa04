/** What can be seen of a call: all of it must be the same on both kernels. */

import { errnoName } from '../../lib/abi/errno.ts';

export interface Seen {
  /** >= 0, or -errno. New fds and addresses are 0: their numbers mean nothing. */
  readonly ret: number;
  /** Whatever else has a short form: an exit, a changed struct, a stat. */
  readonly note?: string;
  /** What was read. */
  readonly bytes?: Uint8Array;
}

export const seen = (ret: number): Seen => ({ ret });

/** A call whose success is a new fd or an address. */
export const seenNew = (ret: number): Seen => ({ ret: Math.min(ret, 0) });

export function same(a: Seen, b: Seen): boolean {
  if (a.ret !== b.ret || a.note !== b.note || (a.bytes === undefined) !== (b.bytes === undefined)) return false;
  return a.bytes === undefined || b.bytes === undefined || Buffer.compare(a.bytes, b.bytes) === 0;
}

export const answerName = (ret: number): string => (ret < 0 ? (errnoName(ret) ?? String(ret)) : String(ret));

/** The answer in words; of bytes only where they differ from the other's. */
export function show(one: Seen, other: Seen): string {
  const parts = [answerName(one.ret)];
  if (one.note !== undefined) parts.push(one.note);
  if (one.bytes && other.bytes) parts.push(showDifference(one.bytes, other.bytes));
  return parts.join(', ');
}

const SHOWN = 8;

function showDifference(bytes: Uint8Array, other: Uint8Array): string {
  const at = bytes.findIndex((byte, i) => byte !== other[i]);
  if (at < 0) return `${bytes.length} bytes`;
  const few = Buffer.from(bytes.subarray(at, at + SHOWN)).toString('hex');
  return `${bytes.length} bytes, at 0x${at.toString(16)}: ${few}`;
}
