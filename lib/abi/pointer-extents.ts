/**
 * How far the kernel reaches behind the pointers in a struct. The struct tells it by fields of its own (a count, a
 * length), which its size says nothing about, so a buffer that is too small has to be caught by the declaration.
 */

import { pointerFields } from './pointer.ts';
import type { Struct } from './struct.ts';
import { ioctls, variants } from './table.ts';

interface Declared {
  readonly struct: Struct;
  /** The operation of a request with a union. */
  readonly op?: number;
  readonly fields: ReturnType<typeof pointerFields>;
}

const byRequest = new Map<number, Declared[]>();
for (const { ioctl } of [...ioctls, ...variants]) {
  if (!ioctl.struct) continue;
  const fields = pointerFields(ioctl.struct);
  if (fields.length === 0) continue;
  const op = 'op' in ioctl ? { op: ioctl.op as number } : {};
  byRequest.set(ioctl.request, [...(byRequest.get(ioctl.request) ?? []), { struct: ioctl.struct, fields, ...op }]);
}

/** How many bytes the kernel may touch behind the pointer at this offset, as the struct has it; 0 where nobody knows. */
export function pointerExtent(request: number, bytes: Uint8Array, at: number): number {
  let furthest = 0;
  for (const { struct, op, fields } of byRequest.get(request) ?? []) {
    const field = fields.find((candidate) => candidate.at === at);
    if (!field || bytes.byteLength < struct.size) continue;
    const values = struct.decode(bytes);
    if (op !== undefined && values['op'] !== op) continue;
    furthest = Math.max(furthest, field.extent(values));
  }
  return furthest;
}
