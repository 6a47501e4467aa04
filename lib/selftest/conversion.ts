/** Conversions below the typed API: one struct, byte for byte, as the host's own dialect lays it out. */

import { setTimeout as delay } from 'node:timers/promises';
import {
  type Dialect,
  type ErrnoName,
  KVM_GMEM_CONVERT_PRIVATE,
  KVM_GMEM_CONVERT_SHARED,
  KVM_MEMORY_ATTRIBUTE_PRIVATE,
  KVM_SET_MEMORY_ATTRIBUTES2,
} from '../abi/index.ts';
import type { T } from './context.ts';
import type { Requires } from './requires.ts';
import type { State } from './scenario.ts';

export type { State };

export const STATES: readonly State[] = ['private', 'shared'];

/** The dialects that convert a guest_memfd in place. */
export const IN_PLACE = ['rfc-convert', 'attributes2'] as const satisfies readonly Dialect[];
export type InPlaceDialect = (typeof IN_PLACE)[number];

/** What a case of in-place conversion needs: the ioctl, and a VM type and flags on which it has an effect. */
export const CONVERTS: Requires = { dialect: IN_PLACE, vmType: 'private', flags: ['mmap', 'init-shared'] };
/** The same where contents must survive: real memory encryption does not let them. */
export const CONVERTS_PLAIN: Requires = { ...CONVERTS, vmType: 'sw-protected' };

/** The two ABIs differ here: the entry for the one this host speaks. */
export function byDialect<V>(t: T, table: Readonly<Record<InPlaceDialect, V>>): V {
  const { dialect } = t.features;
  if (dialect !== 'rfc-convert' && dialect !== 'attributes2') throw new Error(`no in-place conversion in ${dialect}`);
  return table[dialect];
}

export interface RawRange {
  readonly offset: number | bigint;
  readonly size: number | bigint;
  readonly to: State;
}

/** Fields to be passed besides; those that a dialect's struct lacks must not be given. */
export interface RawFields {
  readonly attributes?: bigint;
  readonly flags?: bigint;
  readonly error_offset?: bigint;
  readonly reserved?: readonly bigint[];
}

/** One conversion's struct. What the kernel leaves in it is compared with what was put there. */
export class RawConversion {
  readonly request: number;
  readonly bytes: Uint8Array;
  /** Where error_offset is in the struct. */
  readonly errorOffsetAt: number;
  readonly #t: T;
  readonly #before: Uint8Array;
  readonly #decode: (bytes: Uint8Array) => { readonly error_offset: bigint };

  constructor(t: T, { offset, size, to }: RawRange, fields: RawFields = {}) {
    const rfc = to === 'private' ? KVM_GMEM_CONVERT_PRIVATE : KVM_GMEM_CONVERT_SHARED;
    const attributes = to === 'private' ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0n;
    const { ioctl, values } = byDialect(t, {
      'rfc-convert': { ioctl: rfc, values: { offset, size, ...fields } },
      attributes2: { ioctl: KVM_SET_MEMORY_ATTRIBUTES2, values: { offset, size, attributes, ...fields } },
    });
    this.#t = t;
    this.request = ioctl.request;
    this.bytes = ioctl.struct.encode(values);
    this.errorOffsetAt = ioctl.struct.fields.find(({ name }) => name === 'error_offset')!.offset;
    this.#before = this.bytes.slice();
    this.#decode = ioctl.struct.decode;
  }

  get errorOffset(): bigint {
    return this.#decode(this.bytes).error_offset;
  }

  /** Issues it, with the struct as it is now. */
  send(on: number | { readonly fd: number }) {
    return this.#t.host.raw.tryIoctl(on, this.request, this.bytes);
  }

  /** It is done; the struct is not written on success. */
  async succeeds(on: number | { readonly fd: number }, what: string): Promise<void> {
    const { ret } = this.#t.succeeds(await this.#sendPatiently(on), what);
    this.#t.equal(ret, 0, `${what}: the answer`);
    this.#t.equal(this.bytes, this.#before, `${what}: the struct`);
  }

  /** On a real kernel something may hold a page for a moment, about once in a thousand conversions. */
  async #sendPatiently(on: number | { readonly fd: number }) {
    let attempt = await this.send(on);
    for (let tries = this.#t.host.mock ? 0 : 100; !attempt.ok && attempt.code === 'EAGAIN' && tries > 0; tries -= 1) {
      this.reset();
      await delay(1);
      attempt = await this.send(on);
    }
    return attempt;
  }

  /** It is refused, and the struct reads as before. */
  async isRefused(on: number | { readonly fd: number }, code: ErrnoName, what: string): Promise<void> {
    this.#t.fails(await this.send(on), code, what);
    this.#t.equal(this.bytes, this.#before, `${what}: the struct`);
  }

  /** It is refused because a page is referenced: error_offset names it, and nothing else of the struct changes. */
  async isBlocked(on: number | { readonly fd: number }, by: number | bigint, what: string): Promise<void> {
    this.#t.fails(await this.send(on), 'EAGAIN', what);
    this.#t.equal(this.errorOffset, BigInt(by), `${what}: error_offset`);
    const at = this.errorOffsetAt;
    const rest = this.bytes.slice();
    rest.set(this.#before.subarray(at, at + 8), at);
    this.#t.equal(rest, this.#before, `${what}: the rest of the struct`);
  }

  /** Puts the struct back as it was made, for another try. */
  reset(): void {
    this.bytes.set(this.#before);
  }
}
