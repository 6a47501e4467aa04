/**
 * Structs that begin with their own size, as all of iommufd's (`size`) and VFIO's (`argsz`) do. The codec fills it in;
 * a caller who gives it says how much of the struct the kernel shall look at, which is how such a kernel is tested.
 */

import { type CType, type Fields, type Struct, type StructIn, struct, u32 } from './struct.ts';

export interface SizedStruct<F extends Fields = Fields> extends Struct<F> {
  /** The smallest size the kernel takes: the end of the last field that every version of the struct had. */
  readonly minimum: number;
  /** The struct and what follows it in memory (capabilities, data), all of which it claims as its own. */
  encodeWith(values: StructIn<F>, tail: Uint8Array | number): Uint8Array;
}

interface Rules<F extends Fields> {
  /** The last field of the smallest version; left out: all of the struct. */
  readonly upTo?: keyof F & string;
  /** What else is filled in where the caller says nothing. */
  readonly fill?: StructIn<F>;
}

type Prefixed<Prefix extends string, F extends Fields> = { readonly [K in Prefix]: CType<number> } & F;

function prefixed<const F extends Fields, Prefix extends string>(
  prefix: Prefix,
  name: string,
  members: F,
  rules: Rules<F>,
): SizedStruct<Prefixed<Prefix, F>> {
  type All = Prefixed<Prefix, F>;
  const inner = struct(name, { [prefix]: u32, ...members } as unknown as All);
  const last = inner.fields.find((field) => field.name === rules.upTo);
  const encodeSized = (values: StructIn<All>, size: number): Uint8Array =>
    inner.encode(typeof values === 'object' ? { [prefix]: size, ...rules.fill, ...values } : values);
  return {
    ...inner,
    minimum: last ? last.offset + last.type.size : inner.size,
    encode: (values) => encodeSized(values, inner.size),
    encodeWith: (values, tail) => {
      const length = typeof tail === 'number' ? tail : tail.byteLength;
      const bytes = new Uint8Array(inner.size + length);
      bytes.set(encodeSized(values, bytes.byteLength));
      if (typeof tail !== 'number') bytes.set(tail, inner.size);
      return bytes;
    },
  };
}

/** A struct of iommufd's: `size`, then these fields. */
export const sized = <const F extends Fields>(name: string, members: F, rules: Rules<F> = {}) =>
  prefixed('size', name, members, rules);

/** A struct of VFIO's: `argsz`, then these fields. */
export const argsized = <const F extends Fields>(name: string, members: F, rules: Rules<F> = {}) =>
  prefixed('argsz', name, members, rules);
