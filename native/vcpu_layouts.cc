#include "vcpu_layouts.h"

#if defined(__x86_64__)

#include "missing_vcpu.h"

namespace gmem {

namespace {

// The exits' own data is a union of nameless structs.
#define EXIT(arm, ...)                                                                               \
  [] {                                                                                               \
    static_assert(offsetof(struct kvm_run, arm) == kExit, #arm " is elsewhere in this header");      \
    return LAYOUT("kvm_run." #arm, decltype(kvm_run::arm), __VA_ARGS__);                             \
  }()

// Up to the union: what follows grows with the kernel.
Layout FixedPartOfKvmRun() {
  using Type = struct kvm_run;
  static_assert(offsetof(Type, hw) == kExit);
  return {"kvm_run",
          kExit,
          kHeader,
          {FIELD(request_interrupt_window, 0, 1), FIELD(immediate_exit, 1, 1), FIELD(padding1, 2, 6),
           FIELD(exit_reason, 8, 4), FIELD(ready_for_interrupt_injection, 12, 1), FIELD(if_flag, 13, 1),
           FIELD(flags, 14, 2), FIELD(cr8, 16, 8), FIELD(apic_base, 24, 8)}};
}

}  // namespace

std::vector<Layout> VcpuStructs() {
  return {
      STRUCT(kvm_regs, 144, kHeader, FIELD(rax, 0, 8), FIELD(rbx, 8, 8), FIELD(rcx, 16, 8), FIELD(rdx, 24, 8),
             FIELD(rsi, 32, 8), FIELD(rdi, 40, 8), FIELD(rsp, 48, 8), FIELD(rbp, 56, 8), FIELD(r8, 64, 8),
             FIELD(r9, 72, 8), FIELD(r10, 80, 8), FIELD(r11, 88, 8), FIELD(r12, 96, 8), FIELD(r13, 104, 8),
             FIELD(r14, 112, 8), FIELD(r15, 120, 8), FIELD(rip, 128, 8), FIELD(rflags, 136, 8)),
      STRUCT(kvm_segment, 24, kHeader, FIELD(base, 0, 8), FIELD(limit, 8, 4), FIELD(selector, 12, 2), FIELD(type, 14, 1),
             FIELD(present, 15, 1), FIELD(dpl, 16, 1), FIELD(db, 17, 1), FIELD(s, 18, 1), FIELD(l, 19, 1),
             FIELD(g, 20, 1), FIELD(avl, 21, 1), FIELD(unusable, 22, 1), FIELD(padding, 23, 1)),
      STRUCT(kvm_dtable, 16, kHeader, FIELD(base, 0, 8), FIELD(limit, 8, 2), FIELD(padding, 10, 6)),
      STRUCT(kvm_sregs, 312, kHeader, FIELD(cs, 0, 24), FIELD(ds, 24, 24), FIELD(es, 48, 24), FIELD(fs, 72, 24),
             FIELD(gs, 96, 24), FIELD(ss, 120, 24), FIELD(tr, 144, 24), FIELD(ldt, 168, 24), FIELD(gdt, 192, 16),
             FIELD(idt, 208, 16), FIELD(cr0, 224, 8), FIELD(cr2, 232, 8), FIELD(cr3, 240, 8), FIELD(cr4, 248, 8),
             FIELD(cr8, 256, 8), FIELD(efer, 264, 8), FIELD(apic_base, 272, 8), FIELD(interrupt_bitmap, 280, 32)),
      // An array follows, whose length the struct tells.
      LAYOUT("kvm_cpuid2", Cpuid2, 8, kHasCpuid2, FIELD(nent, 0, 4), FIELD(padding, 4, 4)),
      STRUCT(kvm_mp_state, 4, kHeader, FIELD(mp_state, 0, 4)),
      STRUCT(kvm_pre_fault_memory, 64, kHasPreFault, FIELD(gpa, 0, 8), FIELD(size, 8, 8), FIELD(flags, 16, 8),
             FIELD(padding, 24, 40)),
      FixedPartOfKvmRun(),
      EXIT(io, 16, kHeader, FIELD(direction, 0, 1), FIELD(size, 1, 1), FIELD(port, 2, 2), FIELD(count, 4, 4),
           FIELD(data_offset, 8, 8)),
      EXIT(mmio, 24, kHeader, FIELD(phys_addr, 0, 8), FIELD(data, 8, 8), FIELD(len, 16, 4), FIELD(is_write, 20, 1)),
      LAYOUT("kvm_run.hypercall", Hypercall, 72, kHasHypercallFlags, FIELD(nr, 0, 8), FIELD(args, 8, 48),
             FIELD(ret, 56, 8), FIELD(flags, 64, 8)),
      EXIT(fail_entry, 16, kHeader, FIELD(hardware_entry_failure_reason, 0, 8), FIELD(cpu, 8, 4)),
      EXIT(internal, 136, kHeader, FIELD(suberror, 0, 4), FIELD(ndata, 4, 4), FIELD(data, 8, 128)),
      EXIT(system_event, 136, kHeader, FIELD(type, 0, 4), FIELD(ndata, 4, 4), FIELD(data, 8, 128)),
      LAYOUT("kvm_run.memory_fault", MemoryFault, 24, kHasMemoryFault, FIELD(flags, 0, 8), FIELD(gpa, 8, 8),
             FIELD(size, 16, 8)),
  };
}

std::vector<Request> VcpuRequests() {
  return {
      REQUEST(KVM_GET_VCPU_MMAP_SIZE, 0xae04, kHeader),
      REQUEST(KVM_CREATE_VCPU, 0xae41, kHeader),
      REQUEST(KVM_RUN, 0xae80, kHeader),
      REQUEST(KVM_GET_REGS, 0x8090ae81, kHeader),
      REQUEST(KVM_SET_REGS, 0x4090ae82, kHeader),
      REQUEST(KVM_GET_SREGS, 0x8138ae83, kHeader),
      REQUEST(KVM_SET_SREGS, 0x4138ae84, kHeader),
      REQUEST(KVM_GET_SUPPORTED_CPUID, 0xc008ae05, kHasCpuid2),
      REQUEST(KVM_SET_CPUID2, 0x4008ae90, kHasCpuid2),
      REQUEST(KVM_GET_MP_STATE, 0x8004ae98, kHeader),
      REQUEST(KVM_SET_MP_STATE, 0x4004ae99, kHeader),
      REQUEST(KVM_PRE_FAULT_MEMORY, 0xc040aed5, kHasPreFault),
  };
}

}  // namespace gmem

#else

namespace gmem {

std::vector<Layout> VcpuStructs() { return {}; }
std::vector<Request> VcpuRequests() { return {}; }

}  // namespace gmem

#endif
