/** Every struct that lib/abi exports, however deep: an ioctl's, one inside another, one that no ioctl names. */

import type { Struct } from '../../lib/abi/index.ts';
import * as abi from '../../lib/abi/index.ts';

const isStruct = (value: object): value is Struct => 'fields' in value && 'encode' in value;

function* structsIn(value: unknown): Generator<Struct> {
  if (typeof value !== 'object' || value === null || value instanceof Map) return;
  if (!isStruct(value)) {
    for (const member of Object.values(value)) yield* structsIn(member);
    return;
  }
  yield value;
  for (const { type } of value.fields) yield* structsIn(type);
}

/** Those of the request itself, before those of its operations: the latter say of the union what the former leaves open. */
const exported = [...abi.ioctls.map(({ ioctl }) => ioctl.struct), ...Object.values(abi)];

/** By the kernel's name; of an ioctl and its variants the former. */
export const declaredStructs = new Map<string, Struct>();
for (const struct of structsIn(exported)) {
  if (!declaredStructs.has(struct.name)) declaredStructs.set(struct.name, struct);
}
