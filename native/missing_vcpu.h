// As missing.h, for vCPUs: what kvm_run holds for exits that this header does not know, or knows in fewer words.
#pragma once

#include <linux/kvm.h>
#include <linux/types.h>
#include <linux/version.h>

#include <cstddef>
#include <type_traits>

namespace gmem {

// Where the union of exit data begins in kvm_run.
constexpr size_t kExit = 32;

// Before Linux 6.6 the flexible array at the end takes up room in C++, so that the request numbers are wrong, too.
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
constexpr bool kHasCpuid2 = true;
using Cpuid2 = struct kvm_cpuid2;
#else
constexpr bool kHasCpuid2 = false;
struct Cpuid2 {
  __u32 nent;
  __u32 padding;
};
#undef KVM_GET_SUPPORTED_CPUID
#define KVM_GET_SUPPORTED_CPUID _IOWR(KVMIO, 0x05, struct Cpuid2)
#undef KVM_SET_CPUID2
#define KVM_SET_CPUID2 _IOW(KVMIO, 0x90, struct Cpuid2)
#endif

// Linux 6.11.
#ifdef KVM_PRE_FAULT_MEMORY
constexpr bool kHasPreFault = true;
#else
constexpr bool kHasPreFault = false;
struct kvm_pre_fault_memory {
  __u64 gpa;
  __u64 size;
  __u64 flags;
  __u64 padding[5];
};
#define KVM_PRE_FAULT_MEMORY _IOWR(KVMIO, 0xd5, struct kvm_pre_fault_memory)
#endif

// Linux 6.8.
#ifdef KVM_EXIT_MEMORY_FAULT
constexpr bool kHasMemoryFault = true;
using MemoryFault = decltype(kvm_run::memory_fault);
static_assert(offsetof(struct kvm_run, memory_fault) == kExit);
#else
constexpr bool kHasMemoryFault = false;
struct MemoryFault {
  __u64 flags;
  __u64 gpa;
  __u64 size;
};
#endif

// Linux 6.4 made a u64 of the u32 `longmode` and the padding after it.
template <typename Run>
concept KnowsHypercallFlags = requires(Run run) { run.hypercall.flags; };
static_assert(offsetof(struct kvm_run, hypercall) == kExit);
constexpr bool kHasHypercallFlags = KnowsHypercallFlags<kvm_run>;
struct OwnHypercall {
  __u64 nr;
  __u64 args[6];
  __u64 ret;
  __u64 flags;
};
using Hypercall = std::conditional_t<kHasHypercallFlags, decltype(kvm_run::hypercall), OwnHypercall>;

}  // namespace gmem
