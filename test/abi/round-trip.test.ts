/** What is encoded decodes to itself, for every struct of the table and all values its fields can have. */

import fc, { type Arbitrary } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type AnyType, type Struct, u64, variants } from '../../lib/abi/index.ts';
import { declaredStructs } from './declared.ts';

const structs = [...declaredStructs.values(), ...variants.map(({ ioctl }) => ioctl.struct as Struct)];

const SCALARS: Readonly<Record<string, Arbitrary<unknown>>> = {
  u8: fc.nat(0xff),
  u16: fc.nat(0xffff),
  u32: fc.nat(0xffff_ffff),
  i32: fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
  u64: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  i64: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  pointer: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  'char[256]': fc.string({ maxLength: 255 }).filter((text) => !text.includes('\0')),
};

function valuesOf(type: AnyType): Arbitrary<unknown> {
  if ('fields' in type) return fieldsOf(type as Struct);
  const [, element, length] = /^(\w+)\[(\d+)\]$/.exec(type.name) ?? [];
  if (element && element in SCALARS)
    return fc.array(SCALARS[element]!, { minLength: Number(length), maxLength: Number(length) });
  return SCALARS[type.name]!;
}

const fieldsOf = (struct: Struct): Arbitrary<Record<string, unknown>> =>
  fc.record(Object.fromEntries(struct.fields.map(({ name, type }) => [name, valuesOf(type)])));

describe.each(structs)('$name', (struct) => {
  test('decodes to what was encoded', () => {
    fc.assert(
      fc.property(fieldsOf(struct), (values) => {
        expect(struct.decode(struct.encode(values as never))).toEqual(values);
      }),
      { numRuns: 50 },
    );
  });

  test('fields left out are zero, but for the size and what it is a struct of', () => {
    const values = struct.decode(struct.encode({}));
    for (const { name, type } of struct.fields.filter(
      ({ name }) => name !== 'op' || struct.name !== 'iommu_test_cmd',
    )) {
      const isSize = 'minimum' in struct && name === struct.fields[0]!.name;
      const expected = isSize ? struct.size : type.read(new DataView(new ArrayBuffer(type.size)), 0);
      expect({ [name]: values[name] }).toEqual({ [name]: expected });
    }
  });

  test('bytes from the middle of a buffer decode the same', () => {
    fc.assert(
      fc.property(fieldsOf(struct), fc.nat(20), (values, before) => {
        const buffer = new Uint8Array(before + struct.size + 3).fill(0xee);
        buffer.set(struct.encode(values as never), before);
        expect(struct.decode(buffer.subarray(before))).toEqual(values);
      }),
      { numRuns: 20 },
    );
  });

  test('refuses fields it does not have and buffers it does not fit', () => {
    expect(() => struct.encode({ ofset: 1 } as never)).toThrowError(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }),
    );
    expect(() => struct.encode(7 as never)).toThrowError(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }));
    expect(() => struct.decode(new Uint8Array(struct.size - 1))).toThrowError(
      expect.objectContaining({ code: 'ERR_BUFFER_OUT_OF_BOUNDS' }),
    );
  });
});

describe('64-bit integers', () => {
  const view = new DataView(new ArrayBuffer(8));
  test.each([
    [0, 0n],
    [Number.MAX_SAFE_INTEGER, 2n ** 53n - 1n],
    [2n ** 64n - 1n, 2n ** 64n - 1n],
  ])('%s goes in', (value, back) => {
    u64.write(view, 0, value, 'value');
    expect(u64.read(view, 0)).toBe(back);
  });
  test.each([2 ** 53, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, -1n, 2n ** 64n])('%s does not', (value) => {
    expect(() => u64.write(view, 0, value, 'size')).toThrowError(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }));
  });
  test.each([undefined, null, '1', {}, true])('%s is no number', (value) => {
    expect(() => u64.write(view, 0, value as never, 'size')).toThrowError(/size must be a number or a bigint/);
  });
});
