/** Values that cannot be meant, by what is asked for. */

import fc from 'fast-check';

/** A transferred buffer: its array has a length of 0 and no memory. */
export function detached(): Uint8Array {
  const bytes = new Uint8Array(64);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  return bytes;
}

/** Nothing that has a number in it. */
const NOT_NUMBERS: readonly unknown[] = [null, 'x', '1', '', true, {}, [], [1], Symbol('s'), () => 1, new Date(0)];
const NOT_WHOLE: readonly unknown[] = [Number.NaN, Number.POSITIVE_INFINITY, 1.5, -0.5, 2 ** 53, -(2 ** 53), 1e300];

/** For a number that JavaScript counts with. */
export const notNumber: readonly unknown[] = [...NOT_NUMBERS, ...NOT_WHOLE, 1n, -1];
/** For a 64-bit number, given as either. */
export const notU64: readonly unknown[] = [...NOT_NUMBERS, ...NOT_WHOLE, -1, -1n, 1n << 64n];
/** For a position in guest memory. */
export const notPages: readonly unknown[] = [...notU64, 1, 4095, 4097n];
/** For an amount of guest memory. */
export const notPageCount: readonly unknown[] = [...notPages, 0, 0n];
export const notBoolean: readonly unknown[] = [null, 0, 1, 'true', {}, [], Symbol('s')];
/** For one of a few words; names from the prototype are none. */
export const notWord: readonly unknown[] = [null, '', 'x', 0, true, {}, [], 'toString', 'constructor', Symbol('s')];
export const notObject: readonly unknown[] = [null, 'x', 1, 1n, true, [], Symbol('s')];
/** For an object of options: as an object, but with a key nobody knows. */
export const notOptions: readonly unknown[] = [...notObject, { ofset: 0 }, { '': 1 }];
export const notBytes: readonly unknown[] = [
  null,
  'bytes',
  1,
  {},
  [1, 2],
  new ArrayBuffer(4),
  new DataView(new ArrayBuffer(4)),
  new Uint16Array(2),
  detached(),
];
export const notCapability: readonly unknown[] = [...notNumber, ...notWord.filter((value) => value !== 0), 2 ** 32];
export const notFd: readonly unknown[] = [...notNumber, 2 ** 31, { fd: 'x' }, { fd: -1 }, { fd: Number.NaN }];
export const notSignal: readonly unknown[] = [null, {}, 'x', 1, { aborted: false, addEventListener() {} }];

/** Anything JavaScript has. */
export const anything = () =>
  fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true, withTypedArray: true });

export function show(value: unknown): string {
  if (typeof value === 'symbol' || typeof value === 'function') return String(value);
  if (typeof value === 'bigint') return `${value}n`;
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer)
    return `${value.constructor.name}(${value.byteLength})`;
  return value instanceof Date
    ? 'Date'
    : (JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? `${part}n` : part)) ?? 'undefined');
}
