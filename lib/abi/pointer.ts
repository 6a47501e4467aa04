/**
 * A u64 that points to user memory. A number or bigint is an address and passed as it is; a Uint8Array is a buffer whose
 * address the backend fills in at the moment of the call, so that no JavaScript ever sees it.
 */

import type { CType, Struct } from './struct.ts';
import { u64 } from './struct.ts';

/** How many bytes the kernel may read or write there, by the struct's own account: its field values, as decoded. */
// biome-ignore lint/suspicious/noExplicitAny: a struct's fields are known where it is declared, and not to its field types.
export type Extent = (values: any) => number;

export interface PointerType extends CType<bigint, number | bigint | Uint8Array> {
  readonly name: 'pointer';
  readonly extent: Extent;
}

/** Declares a pointer field and how far the kernel reaches behind it. */
export function pointer(extent: number | Extent): PointerType {
  return {
    name: 'pointer',
    size: u64.size,
    align: u64.align,
    extent: typeof extent === 'number' ? () => extent : extent,
    read: u64.read,
    write: (view, at, value, path) => u64.write(view, at, value instanceof Uint8Array ? 0n : value, path),
  };
}

/** A pointer field, also one in a struct in the struct. */
interface PointerField {
  /** Its offset in the outermost struct. */
  readonly at: number;
  /** The value in the outermost struct's values. */
  value(values: unknown): unknown;
  /** How far the kernel reaches, by the outermost struct's decoded values. */
  extent(decoded: unknown): number;
}

const member = (values: unknown, name: string): unknown => (values as Record<string, unknown> | undefined)?.[name];

const known = new WeakMap<Struct, readonly PointerField[]>();

export function pointerFields(struct: Struct): readonly PointerField[] {
  const found = known.get(struct) ?? findPointers(struct);
  known.set(struct, found);
  return found;
}

function findPointers(struct: Struct): readonly PointerField[] {
  return struct.fields.flatMap(({ name, offset, type }): PointerField[] => {
    if ('extent' in type) {
      const { extent } = type as PointerType;
      return [{ at: offset, value: (values) => member(values, name), extent }];
    }
    if (!('fields' in type)) return [];
    return pointerFields(type as Struct).map((inner) => ({
      at: offset + inner.at,
      value: (values) => inner.value(member(values, name)),
      extent: (decoded) => inner.extent(member(decoded, name)),
    }));
  });
}

/** Which buffers a struct's values point to, and from where: what the seam is given besides the struct's bytes. */
export function pointersIn(struct: Struct, values: unknown): { readonly at: number; readonly to: Uint8Array }[] {
  return pointerFields(struct).flatMap(({ at, value }) => {
    const to = value(values);
    return to instanceof Uint8Array ? [{ at, to }] : [];
  });
}
