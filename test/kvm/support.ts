/** Vcpus that run a few bytes of code in real mode, from page 0 of their memory. */

import type { Vcpu, VcpuExit, Vm } from '../../lib/kvm/index.ts';
import type { MockOptions } from '../../lib/mock/index.ts';
import { openWatched } from '../host/support/hosts.ts';
import type { Answers } from '../host/support/seam.ts';

export const PAGE = 0x1000;
export const profiles = ['linux-6.18', 'linux-7.3', 'rfc-v2', 'inplace-v13'] as const;

export const code = {
  hlt: [0xf4],
  nop: [0x90],
  /** `out 0x10, al` */
  out: [0xe6, 0x10],
  /** `in al, 0x10` */
  in: [0xe4, 0x10],
  /** `rep stosb` */
  fill: [0xf3, 0xaa],
  /** `rep movsb` */
  copy: [0xf3, 0xa4],
  vmcall: [0x0f, 0x01, 0xc1],
  /** `jmp $` */
  forever: [0xeb, 0xfe],
  /** `ud2` */
  unknown: [0x0f, 0x0b],
} as const;

/** Runs to the next exit, which has this reason. */
export async function exitOf<R extends VcpuExit['reason']>(vcpu: Vcpu, reason: R) {
  const exit = await vcpu.run();
  if (exit.reason !== reason) throw new Error(`wanted ${reason}, got ${exit.reason}`);
  return exit as Extract<VcpuExit, { reason: R }>;
}

/** The next instruction is the first byte of page 0. */
export async function restart(vcpu: Vcpu, regs: Parameters<Vcpu['setRegs']>[0] = {}): Promise<void> {
  const sregs = await vcpu.sregs();
  await vcpu.setSregs({ ...sregs, cs: { ...sregs.cs, base: 0n, selector: 0 } });
  await vcpu.setRegs({ rip: 0n, rflags: 2n, ...regs });
}

/** Two pages of memory that the host and the guest share, the program in the first. */
export async function withMemory(vm: Vm, program: readonly number[]) {
  const gmem = await vm.createGuestMemfd({ size: 2 * PAGE, mmap: true, initially: 'shared' });
  const memory = await gmem.map();
  await vm.setMemoryRegion({ slot: 0, guestPhysAddr: 0, size: 2 * PAGE, gmem, userspaceAddr: memory });
  await memory.write(0, Uint8Array.from(program));
  return { gmem, memory };
}

export async function program(bytes: readonly number[], options: MockOptions = {}, answers: Answers = {}) {
  const watched = await openWatched(options, answers);
  const vm = await watched.host.createVm();
  const parts = await withMemory(vm, bytes);
  const vcpu = await vm.createVcpu();
  await restart(vcpu);
  return { ...watched, ...parts, vm, vcpu, [Symbol.asyncDispose]: () => watched.host.close() };
}
