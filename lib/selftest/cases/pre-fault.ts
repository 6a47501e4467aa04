/** The kernel's pre_fault_memory_test: KVM_PRE_FAULT_MEMORY over shared and private memory, to its end and past it. */

import { KVM_PRE_FAULT_MEMORY, PAGE_SIZE } from '../../abi/index.ts';
import type { Vcpu, VmType } from '../../kvm/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { DATA_SIZE, GuestMemory } from '../guest-memory.ts';
import type { Requires } from '../requires.ts';
import { GUEST_START, type State } from '../scenario.ts';

const HUGE = 0x20_0000;
const P = BigInt(PAGE_SIZE);
/** Out of the way of the guest's own. */
const VCPU_ID = 7;

interface Setting {
  readonly vmType: VmType;
  readonly state: State;
}

const needs = ({ vmType, state }: Setting): Requires => ({
  capability: 'KVM_CAP_PRE_FAULT_MEMORY',
  guest: true,
  vmType,
  ...(state === 'private' || vmType !== 'default'
    ? { dialect: ['rfc-convert', 'attributes2', 'vm-attributes'] }
    : { flags: ['init-shared'] }),
});

/** Pre-faults a range; answers how many bytes were left when it was refused, 0 when it was not. */
async function left(t: T, vcpu: Vcpu, offset: number, size: number): Promise<number> {
  const outcome = await vcpu.tryPreFault({ gpa: GUEST_START + BigInt(offset), size });
  if (outcome.ok) return 0;
  const { error } = t.fails(outcome, 'ENOENT', 'past the end of the slot');
  return size - (error?.completed ?? 0);
}

const range = defineCase<Setting>({
  name: 'pre_fault_memory',
  about:
    'KVM_PRE_FAULT_MEMORY fills a slot to its end, says how much is left past it (ENOENT), and the guest finds its ' +
    'memory without further faults that matter (pre_fault_memory_test).',
  requires: needs,
  variants: {
    default: { vmType: 'default', state: 'shared' },
    'sw-protected-shared': { vmType: 'sw-protected', state: 'shared' },
    'sw-protected-private': { vmType: 'sw-protected', state: 'private' },
  },
  async run(t, { state }) {
    const m = await GuestMemory.create(t, 1);
    await m.hostWrites(0, DATA_SIZE, 0x5a);
    if (state === 'private') await m.convert(0, DATA_SIZE, 'private');
    const vcpu = await m.vm.createVcpu({ id: VCPU_ID });
    t.defer(() => vcpu.close());
    t.equal(await left(t, vcpu, 0, HUGE), 0, 'bytes left of the huge page');
    t.equal(await left(t, vcpu, HUGE, 2 * PAGE_SIZE), PAGE_SIZE, 'bytes left of the last page and one more');
    t.equal(await left(t, vcpu, DATA_SIZE, PAGE_SIZE), PAGE_SIZE, 'bytes left of a page behind the slot');
    // With a second backing private memory is other memory, and empty.
    const found = state === 'private' && t.features.dialect === 'vm-attributes' ? 0 : 0x5a;
    await m.guestFinds(0, DATA_SIZE, found);
  },
});

const states = defineCase({
  name: 'pre_fault_follows_the_state',
  about:
    'What is pre-faulted is what the page is now: after each conversion the guest finds the memory of the new state ' +
    '(kvm_arch_vcpu_pre_fault_memory(): PFERR_PRIVATE_ACCESS by the state).',
  requires: needs({ vmType: 'sw-protected', state: 'private' }),
  async run(t) {
    const m = await GuestMemory.create(t, 1);
    const vcpu = await m.vm.createVcpu({ id: VCPU_ID });
    t.defer(() => vcpu.close());
    const twoBackings = t.features.dialect === 'vm-attributes';
    await m.guestWrites(0, PAGE_SIZE, 0x10);
    for (const [round, to] of (['private', 'shared', 'private', 'shared'] as const).entries()) {
      await m.convert(0, PAGE_SIZE, to);
      t.equal(await left(t, vcpu, 0, PAGE_SIZE), 0, `bytes left of a page that turned ${to}`);
      const before = twoBackings ? [0, 0x10, 0x11, 0x12][round]! : 0x10 + round;
      await m.guestFinds(0, PAGE_SIZE, before);
      await m.guestWrites(0, PAGE_SIZE, 0x11 + round);
    }
  },
});

const malformed = defineCase<{ readonly gpa: bigint; readonly size: bigint; readonly flags?: bigint }>({
  name: 'pre_fault_malformed',
  about:
    'Flags, a range that is empty, misaligned or wraps are EINVAL, and the struct stays (kvm_vcpu_pre_fault_memory()).',
  requires: { capability: 'KVM_CAP_PRE_FAULT_MEMORY', guest: true },
  variants: {
    flags: { gpa: GUEST_START, size: P, flags: 1n },
    'no-size': { gpa: GUEST_START, size: 0n },
    'size-misaligned': { gpa: GUEST_START, size: P + 1n },
    'gpa-misaligned': { gpa: GUEST_START + 8n, size: P },
    wraps: { gpa: (1n << 64n) - P, size: 2n * P },
  },
  async run(t, { gpa, size, flags = 0n }) {
    const vm = await t.vm();
    const vcpu = await vm.createVcpu({ id: VCPU_ID });
    t.defer(() => vcpu.close());
    const { request, struct } = KVM_PRE_FAULT_MEMORY;
    const bytes = struct.encode({ gpa, size, flags });
    const before = bytes.slice();
    t.fails(await t.host.raw.tryIoctl(vcpu, request, bytes), 'EINVAL', 'the request');
    t.equal(bytes, before, 'the struct afterwards');
  },
});

export const cases: readonly AnyCase[] = [range, states, malformed];
