/** What the methods of a VM take, and how it is checked. */

import { type CapabilityName, capabilities } from '../abi/capabilities.ts';
import { checkInteger, checkOneOf, checkU64, wrongType, wrongValue } from '../abi/invalid.ts';
import { KVM_MEMORY_ATTRIBUTE_PRIVATE } from '../abi/kvm.ts';
import type { PageState } from '../guest-memfd/index.ts';

export interface CreateVcpuOptions {
  /** From 0; 0 by default. */
  readonly id?: number;
}

export type MemoryAttributesOptions = {
  /** A guest-physical address, whole pages. */
  readonly address: number | bigint;
  /** Bytes, whole pages. */
  readonly size: number | bigint;
} & (
  | { readonly to: PageState; readonly attributes?: undefined }
  /** The kernel's own bits, which replace all attributes of the range. */
  | { readonly attributes: number | bigint; readonly to?: undefined }
);

const U32_MAX = 0xffff_ffff;

export function capabilityNumber(capability: CapabilityName | number): number {
  if (typeof capability === 'number') return checkInteger('capability', capability, 0, U32_MAX);
  if (typeof capability !== 'string') throw wrongType('capability', 'a name or a number', capability);
  return capabilities[checkOneOf('capability', capability, Object.keys(capabilities) as CapabilityName[])].number;
}

export function attributesOf({ to, attributes }: MemoryAttributesOptions): bigint {
  if ((to === undefined) === (attributes === undefined)) {
    throw wrongValue('options', 'given one of to and attributes', { to, attributes });
  }
  if (attributes !== undefined) return checkU64('options.attributes', attributes);
  return checkOneOf<PageState>('options.to', to, ['private', 'shared']) === 'private'
    ? KVM_MEMORY_ATTRIBUTE_PRIVATE
    : 0n;
}
