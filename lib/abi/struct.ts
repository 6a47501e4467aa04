/**
 * C types as values: each knows its size, its alignment and how to read and write itself.
 * A struct is laid out by the C rules (natural alignment), so a declaration is a field list and nothing else;
 * `native/layouts.cc` lets the compiler confirm the result.
 *
 * 64-bit integers are `bigint` out and `number | bigint` in. All platforms that have KVM and Node are little-endian.
 */

import {
  checkBigint,
  checkBytes,
  checkInteger,
  checkOptions,
  I64_MAX,
  I64_MIN,
  outOfRange,
  tooSmall,
  U64_MAX,
  wrongType,
} from './invalid.ts';

/** A C type: what it reads as (`Out`) and what may be written to it (`In`). */
export interface CType<Out, In = Out> {
  readonly name: string;
  readonly size: number;
  readonly align: number;
  read(view: DataView, at: number): Out;
  /** @throws TypeError, RangeError naming `path` when the value does not fit. */
  write(view: DataView, at: number, value: In, path: string): void;
}

// biome-ignore lint/suspicious/noExplicitAny: a field may be of any C type; Out and In are recovered by inference.
export type AnyType = CType<any, any>;
export type OutOf<T extends AnyType> = ReturnType<T['read']>;
export type InOf<T extends AnyType> = Parameters<T['write']>[2];

function small(
  name: string,
  size: 1 | 2 | 4,
  min: number,
  max: number,
  get: keyof DataView,
  set: keyof DataView,
): CType<number> {
  return {
    name,
    size,
    align: size,
    read: (view, at) => (view[get] as (at: number, little: boolean) => number).call(view, at, true),
    write: (view, at, value, path) =>
      (view[set] as (at: number, value: number, little: boolean) => void).call(
        view,
        at,
        checkInteger(path, value, min, max),
        true,
      ),
  };
}

export const u8 = small('u8', 1, 0, 0xff, 'getUint8', 'setUint8');
export const u16 = small('u16', 2, 0, 0xffff, 'getUint16', 'setUint16');
export const u32 = small('u32', 4, 0, 0xffff_ffff, 'getUint32', 'setUint32');
export const i32 = small('i32', 4, -0x8000_0000, 0x7fff_ffff, 'getInt32', 'setInt32');

export const u64: CType<bigint, number | bigint> = {
  name: 'u64',
  size: 8,
  align: 8,
  // Most 64-bit fields are zero, and a bigint for each of them is what decoding would spend its time on.
  read: (view, at) =>
    view.getUint32(at, true) === 0 && view.getUint32(at + 4, true) === 0 ? 0n : view.getBigUint64(at, true),
  write: (view, at, value, path) => view.setBigUint64(at, checkBigint(path, value, 0n, U64_MAX), true),
};

export const i64: CType<bigint, number | bigint> = {
  name: 'i64',
  size: 8,
  align: 8,
  read: (view, at) => view.getBigInt64(at, true),
  write: (view, at, value, path) => view.setBigInt64(at, checkBigint(path, value, I64_MIN, I64_MAX), true),
};

/** A C array of fixed length. A shorter list leaves the rest zero. */
export function array<T extends AnyType>(of: T, length: number): CType<OutOf<T>[], readonly InOf<T>[]> {
  return {
    name: `${of.name}[${length}]`,
    size: of.size * length,
    align: of.align,
    read: (view, at) => {
      const values: OutOf<T>[] = [];
      for (let i = 0; i < length; i++) values.push(of.read(view, at + i * of.size));
      return values;
    },
    write: (view, at, values, path) => {
      if (!Array.isArray(values) || values.length > length)
        throw wrongType(path, `a list of at most ${length} values`, values);
      values.forEach((value, i) => {
        of.write(view, at + i * of.size, value, `${path}[${i}]`);
      });
    },
  };
}

/** Text in a C array, ended by a NUL. */
export function text(length: number): CType<string> {
  return {
    name: `char[${length}]`,
    size: length,
    align: 1,
    read: (view, at) => {
      const bytes = Buffer.from(view.buffer, view.byteOffset + at, length);
      const end = bytes.indexOf(0);
      return bytes.toString('utf8', 0, end < 0 ? length : end);
    },
    write: (view, at, value, path) => {
      if (typeof value !== 'string' || value.includes('\0')) throw wrongType(path, 'text without a NUL', value);
      const bytes = Buffer.from(value);
      if (bytes.length >= length) throw outOfRange(path, `at most ${length - 1} bytes of text`, value);
      new Uint8Array(view.buffer, view.byteOffset + at, length).set(bytes);
    },
  };
}

export type Fields = Readonly<Record<string, AnyType>>;
export type StructOut<F extends Fields> = { -readonly [K in keyof F]: OutOf<F[K]> };
/** A field left out is zero, which is what the kernel asks of every reserved one. */
export type StructIn<F extends Fields> = { readonly [K in keyof F]?: InOf<F[K]> };

export interface Struct<F extends Fields = Fields> extends CType<StructOut<F>, StructIn<F>> {
  readonly fields: ReadonlyArray<{ readonly name: keyof F & string; readonly offset: number; readonly type: AnyType }>;
  /** The struct's bytes, freshly allocated. */
  encode(values: StructIn<F>): Uint8Array;
  /** The struct's fields; more bytes than the struct has are ignored, as kernels do with longer structs. */
  decode(bytes: Uint8Array): StructOut<F>;
}

/** Declares a struct by its kernel name and its fields in order. */
export function struct<const F extends Fields>(name: string, members: F): Struct<F> {
  const { fields, size, align } = layOut(members);
  const known = fields.map((field) => field.name);
  // Copying through one view is several times cheaper than making a view for every struct.
  const scratch = new Uint8Array(size);
  const view = new DataView(scratch.buffer);
  const type: Struct<F> = {
    name,
    size,
    align,
    fields,
    read: (view, at) => {
      const values: Record<string, unknown> = {};
      for (const field of fields) values[field.name] = field.type.read(view, at + field.offset);
      return values as StructOut<F>;
    },
    write: (view, at, values, path) => {
      checkOptions(path, values, known);
      for (const field of fields) {
        const value = values[field.name];
        if (value !== undefined) field.type.write(view, at + field.offset, value, `${path}.${field.name}`);
      }
    },
    encode: (values) => {
      scratch.fill(0);
      type.write(view, 0, values, name);
      return scratch.slice();
    },
    decode: (bytes) => {
      checkBytes(name, bytes);
      if (bytes.byteLength < size) throw tooSmall(name, size, bytes.byteLength);
      scratch.set(bytes.byteLength === size ? bytes : bytes.subarray(0, size));
      return type.read(view, 0);
    },
  };
  return type;
}

function layOut<F extends Fields>(members: F) {
  let end = 0;
  let align = 1;
  const fields = Object.entries(members).map(([name, type]) => {
    const offset = roundUp(end, type.align);
    end = offset + type.size;
    align = Math.max(align, type.align);
    return { name: name as keyof F & string, offset, type: type as AnyType };
  });
  return { fields, size: roundUp(end, align), align };
}

const roundUp = (value: number, to: number): number => Math.ceil(value / to) * to;
