/** KVM_SET_MEMORY_ATTRIBUTES on a VM: what it checks, and what is left of it where conversion is in place. */

import { KVM_MEMORY_ATTRIBUTE_PRIVATE, KVM_SET_MEMORY_ATTRIBUTES, PAGE_SIZE } from '../../abi/index.ts';
import type { Vm } from '../../kvm/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { hasPrivateMemory, vmAttributes } from '../facts.ts';
import { GuestView } from '../guest-view.ts';
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

const noInfluence = defineCase<'private' | 'shared'>({
  name: 'set-memory-attributes-without-influence',
  about:
    'With in-place conversion the memory’s own state decides, whatever the VM’s attributes say: the guest and the ' +
    'host find what they found before (RFC v2 patch 12, test_fault_type_independent_of_mem_attributes; v13).',
  requires: {
    guest: true,
    vmType: 'sw-protected',
    flags: ['init-shared', 'init-private'],
    dialect: ['rfc-convert', 'attributes2'],
  },
  variants: { private: 'private', shared: 'shared' },
  async run(t, initially) {
    const vm = await t.vm();
    const gmem = await t.gmem(vm, { size: 2n * P, mmap: true, initially });
    const mapping = await gmem.map();
    t.defer(() => mapping.close());
    await vm.setMemoryRegion({ slot: 1, guestPhysAddr: GPA, size: 2n * P, gmem });
    const guest = new GuestView(t, vm);
    const contents = new Uint8Array(2 * PAGE_SIZE).fill(0x1c);
    await guest.writes(GPA, contents, 'at first');
    for (const attributes of [0n, PRIVATE, 0n]) {
      await setAttributes(t, vm, { size: 2n * P, attributes });
      await guest.reads(GPA, contents, `with attributes ${attributes}`);
      const read = await mapping.tryRead(0, contents.length);
      if (initially === 'private') t.fails(read, 'EFAULT', `the host reads with attributes ${attributes}`);
      else t.equal(t.succeeds(read, `the host reads with attributes ${attributes}`), contents, 'what it reads');
    }
  },
});

const outOfMemory = defineCase({
  name: 'set-memory-attributes-without-memory',
  about: 'Where the attributes cannot be stored the answer is ENOMEM and all stay as they were (xa_reserve()).',
  requires: { guest: true, faults: true, vmType: 'sw-protected', dialect: ['vm-attributes'] },
  async run(t) {
    const vm = await t.vm();
    const gmem = await t.gmem(vm, { size: P });
    await vm.setMemoryRegion({ slot: 1, guestPhysAddr: GPA, size: P, gmem });
    await vm.setMemoryAttributes({ address: GPA, size: P, to: 'private' });
    const guest = new GuestView(t, vm);
    await guest.writes(GPA, new Uint8Array(16).fill(0x71), 'private');
    t.mock.faults.failAllocation(1, 'tree-node');
    const shared = await vm.trySetMemoryAttributes({ address: GPA, size: P, to: 'shared' });
    t.fails(shared, 'ENOMEM', 'making it shared without memory');
    await guest.reads(GPA, new Uint8Array(16).fill(0x71), 'still private');
    t.mock.faults.failAllocation(1, 'tree-node');
    const unchanged = await vm.trySetMemoryAttributes({ address: GPA, size: P, to: 'private' });
    t.succeeds(unchanged, 'making it private, which it is, without memory');
  },
});

export const cases: readonly AnyCase[] = [answers, refused, pointer, noInfluence, outOfMemory];
