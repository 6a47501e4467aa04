/** Running vCPUs: how they are brought back, several at once, and memory given to them beforehand. */

import { PAGE_SIZE } from '../../abi/index.ts';
import type { VcpuExit } from '../../kvm/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { code, program } from '../vcpu-program.ts';

const GUEST = { flags: ['init-shared'], guest: true } as const;
const GPA = 0x1_0000_0000n;
const INTERRUPTED: VcpuExit = { reason: 'interrupted' };
/** Long enough for the vCPU to be in the guest, and short enough not to matter. */
const LATER_MS = 5;

const broughtBack = defineCase<'signal' | 'interrupt' | 'close'>({
  name: 'vcpu-brought-back',
  about:
    'A guest that never exits is brought back by a signal, by interrupt() and by close(), again and again (KVM_EXIT_INTR, immediate_exit).',
  requires: GUEST,
  variants: { signal: 'signal', interrupt: 'interrupt', close: 'close' },
  async run(t, how) {
    const { vcpu } = await program(t, code.forever);
    for (let round = 0; round < (how === 'close' ? 1 : 5); round += 1) {
      const controller = new AbortController();
      const running = vcpu.run({ signal: controller.signal });
      const act = { signal: () => controller.abort(), interrupt: () => vcpu.interrupt(), close: () => vcpu.close() };
      // At once, and while it runs.
      if (round % 2 === 1) act[how]();
      else setTimeout(act[how], LATER_MS);
      t.equal(await running, INTERRUPTED, `round ${round}`);
    }
    if (how !== 'close') t.equal((await vcpu.regs()).rip, 0n, 'RIP');
  },
});

const iterated = defineCase({
  name: 'vcpu-exits-until-the-signal',
  about: 'exits() has every exit in order and ends with its signal.',
  requires: GUEST,
  async run(t) {
    const { vcpu } = await program(t, [...code.out, ...code.out, ...code.forever]);
    const controller = new AbortController();
    const seen: string[] = [];
    for await (const exit of vcpu.exits({ signal: controller.signal })) {
      seen.push(exit.reason);
      if (seen.length === 2) setTimeout(() => controller.abort(), LATER_MS);
    }
    t.equal(seen, ['io', 'io'], 'the exits');
  },
});

const several = defineCase<number>({
  name: 'guest-on-several-vcpus',
  about: 'Every vCPU of a guest reaches all of its memory, and they work at the same time.',
  requires: GUEST,
  variants: { two: 2, four: 4, 'sixty-four': 64 },
  async run(t, vcpus) {
    const vm = await t.vm();
    const share = 3 * PAGE_SIZE;
    const gmem = await t.gmem(vm, { size: vcpus * share, mmap: true, initially: 'shared' });
    const memory = await t.map(gmem);
    await vm.setMemoryRegion({ slot: 0, guestPhysAddr: GPA, size: vcpus * share, gmem, userspaceAddr: memory });
    const guest = await vm.createGuest({ vcpus });
    t.defer(() => guest.close());
    const all = Array.from({ length: vcpus }, (_, vcpu) => vcpu);
    const at = (vcpu: number) => GPA + BigInt(vcpu * share);
    for (let round = 1; round <= 3; round += 1) {
      const written = await Promise.all(all.map((vcpu) => guest.fill(at(vcpu), share, round * 16 + vcpu, { vcpu })));
      t.equal(written, new Array(vcpus).fill({ ok: true }), `round ${round}: everybody writes`);
      const other = (vcpu: number) => (vcpu + round) % vcpus;
      const read = await Promise.all(all.map((vcpu) => guest.read(at(other(vcpu)), share, { vcpu })));
      for (const vcpu of all) {
        const bytes = new Uint8Array(share).fill(round * 16 + other(vcpu));
        t.equal<unknown>(read[vcpu], { ok: true, bytes }, `round ${round}: vCPU ${vcpu} reads`);
        t.equal(await memory.read(other(vcpu) * share, share), bytes, `round ${round}: the host reads`);
      }
    }
  },
});

const preFault = defineCase({
  name: 'vcpu-pre-fault-stops-where-memory-ends',
  about:
    'KVM_PRE_FAULT_MEMORY succeeds with part of a range and says how much is left; only nothing at all is an error (kvm_vcpu_pre_fault_memory()).',
  requires: { ...GUEST, capability: 'KVM_CAP_PRE_FAULT_MEMORY' },
  async run(t) {
    const { vcpu } = await program(t, code.hlt);
    t.succeeds(await vcpu.tryPreFault({ gpa: 0, size: 2 * PAGE_SIZE }), 'all there is');
    const beyond = await vcpu.tryPreFault({ gpa: PAGE_SIZE, size: 3 * PAGE_SIZE });
    const refusal = t.fails(beyond, 'ENOENT', 'one page of three');
    t.equal((refusal.error as { completed?: number }).completed, PAGE_SIZE, 'bytes that were given');
    t.fails(await vcpu.tryPreFault({ gpa: 0x50_0000, size: PAGE_SIZE }), 'ENOENT', 'nothing there');
  },
});

export const cases: readonly AnyCase[] = [broughtBack, iterated, several, preFault];
