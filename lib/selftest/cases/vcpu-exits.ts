/** Why KVM_RUN comes back, one case for each reason; memory faults are in the cases about conversion. */

import { PAGE_SIZE } from '../../abi/index.ts';
import type { VcpuExit } from '../../kvm/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { code, program, restart, runTo } from '../vcpu-program.ts';

const GUEST = { flags: ['init-shared'], guest: true } as const;
/** No memory is there. */
const DEVICE = 0xc000n;
const KVM_INTERNAL_ERROR_EMULATION = 1;

const portWrite = defineCase({
  name: 'vcpu-exit-io-write',
  about: 'OUT exits with KVM_EXIT_IO, the data in the page behind kvm_run; the next run goes on behind it (x86.c).',
  requires: GUEST,
  async run(t) {
    const { vcpu } = await program(t, [...code.out, ...code.hlt], { rax: 0x15an });
    const exit = await runTo(t, vcpu, 'io');
    const { write, size, port, count } = exit;
    t.equal({ write, size, port, count }, { write: true, size: 1, port: 0x10, count: 1 }, 'the exit');
    t.equal(await vcpu.ioData(exit), Uint8Array.of(0x5a), 'what the guest wrote');
    await runTo(t, vcpu, 'hlt');
  },
});

const portRead = defineCase({
  name: 'vcpu-exit-io-read',
  about:
    'IN exits with KVM_EXIT_IO; what stands in its data at the next run is what the guest reads (complete_fast_pio_in()).',
  requires: GUEST,
  async run(t) {
    const { vcpu } = await program(t, [...code.in, ...code.hlt], { rax: 0x1122n });
    const exit = await runTo(t, vcpu, 'io');
    t.equal([exit.write, exit.port, exit.size * exit.count], [false, 0x10, 1], 'the exit');
    await vcpu.respond(exit, Uint8Array.of(0x5a));
    await runTo(t, vcpu, 'hlt');
    t.equal((await vcpu.regs()).rax, 0x115an, 'RAX');
  },
});

const mmioWrite = defineCase({
  name: 'vcpu-exit-mmio-write',
  about: 'A write where no memory is exits with KVM_EXIT_MMIO and its bytes; the guest goes on behind it.',
  requires: GUEST,
  async run(t) {
    const { vcpu } = await program(t, [...code.fill, ...code.hlt], { rax: 0x77n, rdi: DEVICE, rcx: 1n });
    const exit: VcpuExit = await runTo(t, vcpu, 'mmio');
    t.equal(exit, { reason: 'mmio', gpa: DEVICE, write: true, data: Uint8Array.of(0x77) }, 'the exit');
    await runTo(t, vcpu, 'hlt');
  },
});

const mmioRead = defineCase({
  name: 'vcpu-exit-mmio-read',
  about: 'A read where no memory is exits with KVM_EXIT_MMIO; what stands in its data at the next run is what is read.',
  requires: GUEST,
  async run(t) {
    const regs = { rsi: DEVICE, rdi: BigInt(PAGE_SIZE), rcx: 1n };
    const { vcpu, memory } = await program(t, [...code.copy, ...code.hlt], regs);
    const exit = await runTo(t, vcpu, 'mmio');
    t.equal<VcpuExit>(exit, { reason: 'mmio', gpa: DEVICE, write: false, data: Uint8Array.of(0) }, 'the exit');
    await vcpu.respond(exit, Uint8Array.of(0xc3));
    await runTo(t, vcpu, 'hlt');
    t.equal(await memory.read(PAGE_SIZE, 2), Uint8Array.of(0xc3, 0), 'what the guest stored');
  },
});

const hlt = defineCase({
  name: 'vcpu-exit-hlt',
  about: 'Without an in-kernel interrupt controller HLT exits with KVM_EXIT_HLT, and the vCPU stays runnable.',
  requires: GUEST,
  async run(t) {
    const { vcpu } = await program(t, code.hlt);
    t.equal<VcpuExit>(await vcpu.run(), { reason: 'hlt' }, 'the exit');
    t.equal((await vcpu.regs()).rip, 1n, 'RIP');
    t.equal(await vcpu.mpState(), 0, 'mp_state');
  },
});

const shutdown = defineCase({
  name: 'vcpu-exit-shutdown',
  about: 'A page fault that cannot be delivered ends in a triple fault: KVM_EXIT_SHUTDOWN.',
  requires: GUEST,
  async run(t) {
    const { vcpu } = await program(t, code.hlt);
    const sregs = await vcpu.sregs();
    // Protected mode with paging, on tables in which nothing is present.
    await vcpu.setSregs({ ...sregs, cr0: sregs.cr0 | 0x8000_0001n, cr3: BigInt(PAGE_SIZE) });
    t.equal<VcpuExit>(await vcpu.run(), { reason: 'shutdown' }, 'the exit');
  },
});

const internalError = defineCase({
  name: 'vcpu-exit-internal-error',
  about:
    'KVM cannot fetch instructions from where no memory is: KVM_EXIT_INTERNAL_ERROR, suberror 1 (handle_emulation_failure()).',
  requires: GUEST,
  async run(t) {
    const { vcpu } = await program(t, code.hlt, { rip: DEVICE });
    t.equal((await runTo(t, vcpu, 'internal-error')).suberror, KVM_INTERNAL_ERROR_EMULATION, 'suberror');
    await restart(vcpu);
    await runTo(t, vcpu, 'hlt');
  },
});

const failEntry = defineCase({
  name: 'vcpu-exit-fail-entry',
  about: 'A code segment that is 64-bit and 32-bit at once passes KVM and is refused by the CPU: KVM_EXIT_FAIL_ENTRY.',
  requires: GUEST,
  async run(t) {
    const { vcpu } = await program(t, code.hlt);
    const sregs = await vcpu.sregs();
    const cs = { ...sregs.cs, type: 11, present: 1, s: 1, l: 1, db: 1, g: 1, limit: 0xffff_ffff };
    // Long mode: PE, PG; PAE; LME, LMA.
    await vcpu.setSregs({ ...sregs, cs, cr0: 0x8000_0031n, cr3: BigInt(PAGE_SIZE), cr4: 0x20n, efer: 0x500n });
    t.notEqual((await runTo(t, vcpu, 'fail-entry')).hardwareReason, 0n, 'hardware_entry_failure_reason');
  },
});

const hypercall = defineCase<bigint>({
  name: 'vcpu-exit-hypercall',
  about:
    'KVM_HC_MAP_GPA_RANGE exits where KVM_CAP_EXIT_HYPERCALL asks for it, and the guest gets what userspace answers.',
  requires: { ...GUEST, capability: 'KVM_CAP_EXIT_HYPERCALL' },
  variants: { done: 0n, refused: -22n },
  async run(t, answer) {
    const vm = await t.vm();
    await vm.enableCap('KVM_CAP_EXIT_HYPERCALL', [1 << 12]);
    const seen: unknown[] = [];
    const guest = await vm.createGuest({
      onHypercall: async ({ mapGpaRange }) => {
        seen.push(mapGpaRange);
        return answer;
      },
    });
    t.defer(() => guest.close());
    t.equal(await guest.mapGpaRange(0x10_0000, 0x3000, 'private'), { ok: true, answer }, 'what the guest gets');
    t.equal(await guest.mapGpaRange(0x20_0000, 0x1000, 'shared'), { ok: true, answer }, 'and then');
    const wanted = [
      { gpa: 0x10_0000n, size: 0x3000n, to: 'private' },
      { gpa: 0x20_0000n, size: 0x1000n, to: 'shared' },
    ];
    t.equal<unknown>(seen, wanted, 'what userspace was asked');
  },
});

export const cases: readonly AnyCase[] = [
  portWrite,
  portRead,
  mmioWrite,
  mmioRead,
  hlt,
  shutdown,
  internalError,
  failEntry,
  hypercall,
];
