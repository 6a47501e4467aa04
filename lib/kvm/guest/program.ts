/**
 * What runs in the guest: three routines of a few bytes each, in 64-bit mode with interrupts off. A request is a set of
 * registers; a routine that is done says so by writing to a port. Where one stops instead, its registers tell how far
 * it got, since REP instructions keep count.
 */

export const DONE_PORT = 0x10;

/** Where each routine begins in the code page. */
export const ENTRY = {
  /** Copies RCX bytes from RSI to RDI. */
  copy: 0x00,
  /** Stores RCX bytes AL at RDI. */
  fill: 0x10,
  /** Hypercall RAX with RBX, RCX, RDX; the answer is in RAX. */
  hypercall: 0x20,
} as const;

const REP_MOVSB = [0xf3, 0xa4];
const REP_STOSB = [0xf3, 0xaa];
/** Where the CPU is AMD's, KVM replaces it by VMMCALL (KVM_X86_QUIRK_FIX_HYPERCALL_INSN). */
const VMCALL = [0x0f, 0x01, 0xc1];
const OUT_DONE = [0xe6, DONE_PORT];
const HLT = [0xf4];

export function codePage(size: number): Uint8Array {
  const page = new Uint8Array(size).fill(HLT[0]!);
  page.set([...REP_MOVSB, ...OUT_DONE, ...HLT], ENTRY.copy);
  page.set([...REP_STOSB, ...OUT_DONE, ...HLT], ENTRY.fill);
  page.set([...VMCALL, ...OUT_DONE, ...HLT], ENTRY.hypercall);
  return page;
}
