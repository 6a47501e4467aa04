/** An x86 CPU as reset leaves it: real mode, the next instruction 16 bytes below 4 GiB. */

import { KVM_GET_REGS, KVM_GET_SREGS } from '../../abi/vcpu.ts';
import type { Registers, SpecialRegisters } from './cpu.ts';

export function resetState(): { regs: Registers; sregs: SpecialRegisters } {
  const regs = KVM_GET_REGS.struct.decode(new Uint8Array(KVM_GET_REGS.struct.size));
  const sregs = KVM_GET_SREGS.struct.decode(new Uint8Array(KVM_GET_SREGS.struct.size));
  const segment = { limit: 0xffff, type: 3, present: 1, s: 1 };
  for (const name of ['ds', 'es', 'fs', 'gs', 'ss'] as const) Object.assign(sregs[name], segment);
  Object.assign(sregs.cs, segment, { selector: 0xf000, base: 0xffff_0000n, type: 11 });
  sregs.cr0 = 0x6000_0010n;
  sregs.apic_base = 0xfee0_0900n;
  return { regs: { ...regs, rip: 0xfff0n, rflags: 2n, rdx: 0x600n }, sregs };
}
