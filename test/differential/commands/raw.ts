/** Requests where they do not belong: on the wrong file, of another size, with a struct that cannot be read or written. */

import fc from 'fast-check';
import { type CapabilityName, capabilities } from '../../../lib/abi/capabilities.ts';
import { KVM_GMEM_IO } from '../../../lib/abi/guest-memfd.ts';
import { type FdKind, requestSize, requestType, type StructIoctl } from '../../../lib/abi/ioctl.ts';
import { KVM_CHECK_EXTENSION, KVMIO } from '../../../lib/abi/kvm.ts';
import { KVM_GET_DEVICE_ATTR, KVM_HAS_DEVICE_ATTR, KVM_SET_DEVICE_ATTR } from '../../../lib/abi/kvm-device.ts';
import { ioctls, type NamedIoctl } from '../../../lib/abi/table.ts';
import { hasTrailingArray } from '../../../lib/abi/trailing-arrays.ts';
import { hex, oneIn, which } from '../choices.ts';
import { command } from '../command.ts';
import { seen } from '../seen.ts';
import type { FileObject } from '../world.ts';

const KINDS: Readonly<Record<FileObject['kind'], FdKind | undefined>> = {
  vm: 'vm',
  gmem: 'guest-memfd',
  vcpu: 'vcpu',
  memfd: undefined,
};

/** KVM's own: whatever the struct says, its size is in the request. */
const TYPES: readonly number[] = [KVMIO, KVM_GMEM_IO];
const withStruct = ioctls.filter(
  ({ ioctl }) =>
    ioctl.struct !== undefined && TYPES.includes(requestType(ioctl.request)) && !hasTrailingArray(ioctl.request),
);

/** Bits 16 to 29 of a request are its struct's size, 30 and 31 its direction. */
const CHANGES = [0, 1 << 16, 8 << 16, 64 << 16, 0x4000_0000, 0x8000_0000, 0xc000_0000];

const misplaced = command({
  name: 'misplaced-ioctl',
  weight: 2,
  choices: fc.record({ which, request: fc.nat(withStruct.length - 1), change: fc.constantFrom(...CHANGES) }),
  expects: () => ['ENOTTY'],
  prepare(world, { which: nth, request: chosen, change }) {
    const on = world.fd(nth, 'vm', 'gmem', 'vcpu', 'memfd');
    if (!on) return undefined;
    const { name, ioctl } = withStruct[chosen]!;
    const request = (ioctl.request ^ change) >>> 0;
    // One that the file knows is the business of other commands.
    if (change === 0 && ioctl.on.includes(KINDS[on.of.kind]!)) return undefined;
    if (isKnown(request, KINDS[on.of.kind])) return undefined;
    return {
      text: `ioctl(${on.name}, ${change === 0 ? name : `${name} ^ ${hex(change >>> 0)}`}, zeroes)`,
      run: (side) => seen(side.syscalls.ioctlSync(side.fd(on), request, new Uint8Array(requestSize(request)))),
    };
  },
});

/** A vCPU has attributes of its own (its TSC's offset), which the mock does not: see known-differences.ts. */
const hasAttributes = (request: number, kind: FdKind | undefined): boolean =>
  kind === 'vcpu' &&
  [KVM_SET_DEVICE_ATTR, KVM_GET_DEVICE_ATTR, KVM_HAS_DEVICE_ATTR].some((ioctl) => ioctl.request === request);

const isKnown = (request: number, kind: FdKind | undefined): boolean =>
  hasAttributes(request, kind) ||
  ioctls.some(({ ioctl }) => ioctl.request === request && kind !== undefined && ioctl.on.includes(kind));

const takesStruct = (kind: FdKind | undefined): NamedIoctl[] =>
  withStruct.filter(({ ioctl }) => kind !== undefined && ioctl.on.includes(kind));

const noStruct = command({
  name: 'null-struct',
  weight: 1,
  choices: fc.record({ which, request: which }),
  expects: () => ['EFAULT'],
  prepare(world, { which: nth, request: chosen }) {
    const on = world.fd(nth, 'vm', 'gmem');
    const known = takesStruct(on && KINDS[on.of.kind]);
    if (!on || known.length === 0) return undefined;
    const { name, ioctl } = known[chosen % known.length]!;
    return {
      text: `ioctl(${on.name}, ${name}, a null pointer)`,
      run: (side) => seen(side.syscalls.ioctlSync(side.fd(on), ioctl.request, 0)),
    };
  },
});

/** The struct lies in one of the world's mappings: private, read-only, beyond the end or plainly there. */
const structInMapping = command({
  name: 'struct-in-mapping',
  weight: 2,
  choices: fc.record({ which, request: which, mapping: which, page: fc.nat(15) }),
  expects: () => ['EFAULT', 'EINVAL'],
  prepare(world, { which: nth, request: chosen, mapping: nthMapping, page }) {
    const on = world.fd(nth, 'vm', 'gmem');
    const mapping = world.mapping(nthMapping);
    const known = takesStruct(on && KINDS[on.of.kind]).filter(({ name }) => HARMLESS.has(name));
    if (!on || !mapping || mapping.pages === 0 || known.length === 0) return undefined;
    const { name, ioctl } = known[chosen % known.length]!;
    const offset = BigInt((page % mapping.pages) * 4096);
    // Ones everywhere: refused by every request, whichever of its checks comes first.
    const bytes = new Uint8Array((ioctl as StructIoctl).struct.size).fill(0xff);
    return {
      text: `ioctl(${on.name}, ${name}, ones in ${mapping.name} at ${hex(offset)})`,
      run: (side) => {
        const address = side.address({ mapping, offset });
        const written = side.syscalls.copyInSync(address, bytes);
        const ret = side.syscalls.ioctlSync(side.fd(on), ioctl.request, { address });
        return { ret, note: `struct written: ${written}` };
      },
    };
  },
});

/** What a page may contain is not always ones: these do no harm whatever their struct says. */
const HARMLESS: ReadonlySet<string> = new Set([
  'KVM_GMEM_CONVERT_SHARED',
  'KVM_GMEM_CONVERT_PRIVATE',
  'KVM_SET_MEMORY_ATTRIBUTES2',
  'KVM_SET_MEMORY_ATTRIBUTES',
  'KVM_CREATE_GUEST_MEMFD',
]);

const capabilityNames = Object.keys(capabilities) as CapabilityName[];

const checkExtension = command({
  name: 'check-extension',
  weight: 1,
  choices: fc.record({ which, name: fc.constantFrom(...capabilityNames), onVm: fc.boolean(), odd: oneIn(12) }),
  expects: () => ['ok'],
  prepare(world, { which: nth, name, onVm, odd }) {
    const on = onVm ? world.fd(nth, 'vm') : undefined;
    const number = odd ? 0xffff_ffff : capabilities[name].number;
    return {
      text: `KVM_CHECK_EXTENSION(${on?.name ?? '/dev/kvm'}, ${odd ? number : name})`,
      run: (side) => seen(side.syscalls.ioctlSync(on ? side.fd(on) : side.kvm, KVM_CHECK_EXTENSION.request, number)),
    };
  },
});

export const rawCommands = [misplaced, noStruct, structInMapping, checkExtension];
