/** The capabilities behind VFIO's info structs: each says where from the struct's start the next one lies. */

import type { Struct } from '../../../abi/struct.ts';
import { vfio_info_cap_header } from '../../../abi/vfio-capabilities.ts';

/** A capability as `vfio-capabilities.ts` declares it. */
interface CapabilityType {
  readonly id: number;
  // biome-ignore lint/suspicious/noExplicitAny: each has fields of its own.
  readonly struct: Struct<any>;
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  readonly entries?: { readonly struct: Struct<any> };
}

type Capability = readonly [type: CapabilityType, fields: object, entries?: readonly object[]];

const roundUp = (bytes: number): number => Math.ceil(bytes / 8) * 8;

/** The bytes that follow an info struct of `base` bytes. */
export function encodeChain(base: number, capabilities: readonly Capability[]): Uint8Array {
  const encoded = capabilities.map(encode);
  const chain = new Uint8Array(encoded.reduce((sum, bytes) => sum + bytes.length, 0));
  let at = 0;
  for (const [i, bytes] of encoded.entries()) {
    const [{ id }] = capabilities[i]!;
    const end = at + bytes.length;
    const next = end < chain.length ? base + end : 0;
    chain.set(bytes, at);
    chain.set(vfio_info_cap_header.encode({ id, version: 1, next }), at);
    at = end;
  }
  return chain;
}

function encode([type, fields, entries = []]: Capability): Uint8Array {
  const each = type.entries?.struct;
  const bytes = new Uint8Array(roundUp(type.struct.size + entries.length * (each?.size ?? 0)));
  bytes.set(type.struct.encode(fields));
  for (const [i, entry] of entries.entries()) {
    if (each) bytes.set(each.encode(entry), type.struct.size + i * each.size);
  }
  return bytes;
}
