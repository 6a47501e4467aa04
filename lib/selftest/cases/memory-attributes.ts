/** KVM_SET_MEMORY_ATTRIBUTES on a VM: what it checks, and what is left of it. Its effects are in `vm-attributes.ts`. */

import { KVM_MEMORY_ATTRIBUTE_PRIVATE, KVM_SET_MEMORY_ATTRIBUTES, PAGE_SIZE } from '../../abi/index.ts';
import type { Vm } from '../../kvm/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { hasPrivateMemory, vmAttributes } from '../facts.ts';
import { eachVm } from '../vm-types.ts';

const P = BigInt(PAGE_SIZE);
const GPA = 0x1_0000_0000n;
const ALL = 1n << 64n;
const PRIVATE = KVM_MEMORY_ATTRIBUTE_PRIVATE;

interface Attributes {
  readonly address?: bigint;
  readonly size?: bigint;
  readonly attributes?: bigint;
  readonly flags?: bigint;
}

/** Issues it, and checks that the struct is not written back. */
async function setAttributes(t: T, vm: Vm, fields: Attributes) {
  const bytes = KVM_SET_MEMORY_ATTRIBUTES.struct.encode({ address: GPA, size: P, attributes: 0n, ...fields });
  const before = bytes.slice();
  const answer = await t.host.raw.tryIoctl(vm, KVM_SET_MEMORY_ATTRIBUTES.request, bytes);
  t.equal(bytes, before, 'the struct afterwards');
  return answer;
}

const refused = defineCase<Attributes>({
  name: 'set-memory-attributes-refused',
  about:
    'Flags, unknown attributes, an empty range, one that wraps or is misaligned are EINVAL on every VM; without ' +
    'attributes per VM the request is not known (ENOTTY): kvm_vm_ioctl_set_mem_attributes().',
  variants: {
    'flags-bit-0': { flags: 1n },
    'flags-bit-63': { flags: 1n << 63n },
    'attribute-1': { attributes: 1n },
    'attribute-2': { attributes: 2n },
    'attribute-4': { attributes: 4n },
    'attribute-16': { attributes: 16n },
    'attribute-bit-63': { attributes: 1n << 63n },
    'private-and-read': { attributes: PRIVATE | 1n },
    'no-size': { size: 0n },
    'no-size-misaligned': { address: GPA + 1n, size: 0n },
    'size-misaligned': { size: P + 1n },
    'size-below-a-page': { size: 512n },
    'address-misaligned': { address: GPA + 512n },
    'both-misaligned': { address: GPA + 512n, size: P - 512n },
    wraps: { address: ALL - P, size: 2n * P },
    'ends-at-2-64': { address: ALL - P },
  },
  async run(t, fields) {
    const code = vmAttributes(t.host) === 'absent' ? 'ENOTTY' : 'EINVAL';
    await eachVm(t, async (vm) => {
      for (const attributes of fields.attributes === undefined ? [0n, PRIVATE] : [fields.attributes]) {
        const answer = await setAttributes(t, vm, { attributes, ...fields });
        t.fails(answer, code, `attributes ${attributes} on a VM of type ${vm.type}`);
      }
    });
  },
});

const answers = defineCase<bigint>({
  name: 'set-memory-attributes',
  about:
    'Private is for VMs with private memory, and with in-place conversion for none (EINVAL); shared is taken by all; ' +
    'no slot is needed and no state looked at (kvm_supported_mem_attributes(); v13).',
  variants: { private: PRIVATE, shared: 0n },
  async run(t, attributes) {
    const kind = vmAttributes(t.host);
    await eachVm(t, async (vm) => {
      for (const what of ['the first time', 'again']) {
        const answer = await setAttributes(t, vm, { size: 2n * P, attributes });
        const on = `on a VM of type ${vm.type}, ${what}`;
        if (kind === 'absent') t.fails(answer, 'ENOTTY', on);
        else if (attributes === 0n || (kind === 'tracked' && hasPrivateMemory(vm.type))) t.succeeds(answer, on);
        else t.fails(answer, 'EINVAL', on);
      }
    });
  },
});

const pointer = defineCase({
  name: 'set-memory-attributes-null-pointer',
  about: 'The struct is read only where the request is known: EFAULT then, ENOTTY otherwise (kvm_vm_ioctl()).',
  async run(t) {
    const code = vmAttributes(t.host) === 'absent' ? 'ENOTTY' : 'EFAULT';
    await eachVm(t, async (vm) => {
      const answer = await t.host.raw.tryIoctl(vm, KVM_SET_MEMORY_ATTRIBUTES.request, 0);
      t.fails(answer, code, `a null pointer on a VM of type ${vm.type}`);
    });
  },
});

export const cases: readonly AnyCase[] = [answers, refused, pointer];
