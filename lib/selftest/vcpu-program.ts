/** A vCPU of a case's own, and the few bytes it runs: in real mode, from the first byte of two pages at address 0. */

import { PAGE_SIZE } from '../abi/index.ts';
import type { Mapping, Vcpu, VcpuExit, Vm } from '../kvm/index.ts';
import type { T } from './context.ts';
import { show } from './show.ts';

export const code = {
  hlt: [0xf4],
  /** `out 0x10, al` */
  out: [0xe6, 0x10],
  /** `in al, 0x10` */
  in: [0xe4, 0x10],
  /** `rep movsb` */
  copy: [0xf3, 0xa4],
  /** `rep stosb` */
  fill: [0xf3, 0xaa],
  /** `jmp $` */
  forever: [0xeb, 0xfe],
} as const;

export interface Program {
  readonly vm: Vm;
  readonly vcpu: Vcpu;
  /** The two pages as the host sees them. */
  readonly memory: Mapping;
}

/** Ready to run; everything goes when the case ends. */
export async function program(t: T, bytes: readonly number[], regs: Registers = {}): Promise<Program> {
  const vm = await t.vm();
  const gmem = await t.gmem(vm, { size: 2 * PAGE_SIZE, mmap: true, initially: 'shared' });
  const memory = await t.map(gmem);
  await vm.setMemoryRegion({ slot: 0, guestPhysAddr: 0, size: 2 * PAGE_SIZE, gmem, userspaceAddr: memory });
  await memory.write(0, Uint8Array.from(bytes));
  const vcpu = await vm.createVcpu();
  t.defer(() => vcpu.close());
  await restart(vcpu, regs);
  return { vm, vcpu, memory };
}

export type Registers = Parameters<Vcpu['setRegs']>[0];

/** The next instruction is the program's first. */
export async function restart(vcpu: Vcpu, regs: Registers = {}): Promise<void> {
  const sregs = await vcpu.sregs();
  await vcpu.setSregs({ ...sregs, cs: { ...sregs.cs, base: 0n, selector: 0 } });
  await vcpu.setRegs({ rip: 0n, rflags: 2n, ...regs });
}

/** Runs to the next exit, which must be of this kind. */
export async function runTo<R extends VcpuExit['reason']>(t: T, vcpu: Vcpu, reason: R) {
  const exit = await vcpu.run();
  if (exit.reason !== reason) t.fail(`the vCPU runs to ${reason}`, ['it came back with', show(exit)]);
  t.equal<string>(exit.reason, reason, 'the exit');
  return exit as Extract<VcpuExit, { reason: R }>;
}
