/** KVM_CHECK_EXTENSION: what /dev/kvm and a VM of each type answer, as far as guest_memfd goes. */

import {
  type CapabilityName,
  type Dialect,
  KVM_CHECK_EXTENSION,
  KVM_MEMORY_ATTRIBUTE_PRIVATE,
} from '../../abi/index.ts';
import type { VmType } from '../../kvm/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { hasPrivateMemory, hasProtectedState } from '../facts.ts';
import type { Requires } from '../requires.ts';
import { eachVm } from '../vm-types.ts';

/** The answer, for a VM of a type or for /dev/kvm. */
type Answer = (dialect: Dialect, type: VmType | undefined) => number;

interface Row {
  readonly name: CapabilityName;
  readonly answer: Answer;
}

const always: Answer = () => 1;
const PRIVATE = Number(KVM_MEMORY_ATTRIBUTE_PRIVATE);
/** Whether it is about private memory that there can be: on /dev/kvm for some VM, on a VM for this one. */
const couldBePrivate = (type: VmType | undefined): boolean => type === undefined || hasPrivateMemory(type);
const inSeries: Answer = (dialect) => (dialect === 'rfc-convert' ? 1 : 0);
const perVm: readonly Dialect[] = ['vm-attributes', 'rfc-convert'];

const rows: Readonly<Record<string, Row>> = {
  'user-memory': { name: 'KVM_CAP_USER_MEMORY', answer: always },
  'user-memory2': { name: 'KVM_CAP_USER_MEMORY2', answer: always },
  'guest-memfd': { name: 'KVM_CAP_GUEST_MEMFD', answer: always },
  'memory-fault-info': { name: 'KVM_CAP_MEMORY_FAULT_INFO', answer: always },
  'sync-mmu': { name: 'KVM_CAP_SYNC_MMU', answer: always },
  'check-extension-vm': { name: 'KVM_CAP_CHECK_EXTENSION_VM', answer: always },
  'readonly-mem': {
    name: 'KVM_CAP_READONLY_MEM',
    answer: (_dialect, type) => (type !== undefined && hasProtectedState(type) ? 0 : 1),
  },
  'memory-attributes': {
    name: 'KVM_CAP_MEMORY_ATTRIBUTES',
    answer: (dialect, type) => (perVm.includes(dialect) && couldBePrivate(type) ? PRIVATE : 0),
  },
  'guest-memfd-memory-attributes': {
    name: 'KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES',
    answer: (dialect, type) => (dialect === 'attributes2' && couldBePrivate(type) ? PRIVATE : 0),
  },
  // 240 and 241 are other architectures' in released kernels; on x86 only the series answers.
  'gmem-shared-mem': { name: 'KVM_CAP_GMEM_SHARED_MEM', answer: inSeries },
  'gmem-conversion': { name: 'KVM_CAP_GMEM_CONVERSION', answer: inSeries },
};

const WITH_GUEST_MEMFD: Requires = { capability: 'KVM_CAP_GUEST_MEMFD' };

const answers = defineCase<Row>({
  name: 'capability',
  about:
    'Each capability’s answer on /dev/kvm and on a VM of each type; those of unreleased series are 0 elsewhere, since ' +
    'their numbers belong to others by now (kvm_vm_ioctl_check_extension_generic(); RFC v2 patch 07; v13).',
  requires: WITH_GUEST_MEMFD,
  variants: rows,
  async run(t, { name, answer }) {
    const { dialect, capabilities } = t.features;
    t.equal(capabilities[name], answer(dialect, undefined), `${name} on /dev/kvm`);
    await eachVm(t, async (vm) => {
      t.equal(await vm.checkExtension(name), answer(dialect, vm.type), `${name} on a VM of type ${vm.type}`);
    });
  },
});

const SAME: readonly CapabilityName[] = ['KVM_CAP_VM_TYPES', 'KVM_CAP_NR_MEMSLOTS', 'KVM_CAP_EXIT_HYPERCALL'];

const same = defineCase({
  name: 'capability-of-the-host',
  about: 'What does not depend on the VM is answered alike on /dev/kvm and on any VM (kvm_vm_ioctl_check_extension()).',
  requires: WITH_GUEST_MEMFD,
  async run(t) {
    t.equal(t.features.capabilities.KVM_CAP_VM_TYPES & 1, 1, 'KVM_CAP_VM_TYPES lists the default type');
    await eachVm(t, async (vm) => {
      for (const name of SAME) {
        t.equal(await vm.checkExtension(name), t.features.capabilities[name], `${name} on a VM of type ${vm.type}`);
      }
    });
  },
});

async function ask(t: T, fd: number, number: number): Promise<number> {
  return t.succeeds(await t.host.raw.tryIoctl(fd, KVM_CHECK_EXTENSION, number), `asking for ${number}`).ret;
}

const unknown = defineCase({
  name: 'capability-unknown',
  about:
    'A number that stands for nothing is answered with 0, and all 64 bits of it count ' +
    '(kvm_vm_ioctl_check_extension_generic() takes a long).',
  requires: WITH_GUEST_MEMFD,
  async run(t) {
    const vm = await t.vm();
    for (const fd of [t.host.fd, vm.fd]) {
      for (const number of [99_999, 0x7fff_ffff, 2 ** 32 + 234, 2 ** 40 + 3]) {
        t.equal(await ask(t, fd, number), 0, `capability ${number}`);
      }
      t.equal(await ask(t, fd, 234), 1, 'capability 234, KVM_CAP_GUEST_MEMFD');
    }
  },
});

export const cases: readonly AnyCase[] = [answers, same, unknown];
