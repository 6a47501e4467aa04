/** Values as a failure report shows them: numbers in both bases, bytes as bytes, and where two byte strings part. */

import { inspect } from 'node:util';

const CONTEXT = 8;

export function show(value: unknown): string {
  if (typeof value === 'bigint' || typeof value === 'number') return showNumber(value);
  if (value instanceof Uint8Array) return showBytes(value);
  return inspect(value, { depth: 4, breakLength: Infinity, maxStringLength: 400, maxArrayLength: 16 });
}

function showNumber(value: number | bigint): string {
  const text = inspect(value);
  const whole = typeof value === 'bigint' || Number.isSafeInteger(value);
  return whole && value > 9 ? `${text} (0x${value.toString(16)})` : text;
}

function showBytes(bytes: Uint8Array): string {
  const some = [...bytes.subarray(0, 16)].map(hexByte).join(' ');
  return `${bytes.length} bytes: ${some}${bytes.length > 16 ? ' ...' : ''}`;
}

const hexByte = (byte: number): string => byte.toString(16).padStart(2, '0');

/** Where two byte strings part, in lines for a report; undefined when they are equal. */
export function bytesDifference(got: Uint8Array, want: Uint8Array): string[] | undefined {
  // The one comparison that costs next to nothing on an emulated machine, where memory of some MiB is compared often.
  if (Buffer.compare(got, want) === 0) return undefined;
  const common = Math.min(got.length, want.length);
  let first = 0;
  while (first < common && got[first] === want[first]) first += 1;
  const lengths = got.length === want.length ? [] : [`wanted ${want.length} bytes, got ${got.length}`];
  if (first === common) return lengths;
  let different = 0;
  for (let at = first; at < common; at += 1) if (got[at] !== want[at]) different += 1;
  return [
    ...lengths,
    `first difference at offset ${showNumber(first)}; ${different} of ${common} bytes differ`,
    `wanted ${around(want, first)}`,
    `got    ${around(got, first)}`,
  ];
}

function around(bytes: Uint8Array, at: number): string {
  const end = Math.min(bytes.length, at + CONTEXT);
  return `${[...bytes.subarray(at, end)].map(hexByte).join(' ')}${end < bytes.length ? ' ...' : ''}`;
}
