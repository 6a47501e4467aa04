/* VMs, guest_memfds, slots and guests. */

#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "observe.h"

/* Of newer kernels than the headers here may be. */
struct convert { u64 offset, size, error_offset, reserved[5]; };
struct create { u64 size, flags, reserved[6]; };
struct region { u32 slot, flags; u64 gpa, size, address, offset; u32 fd, pad; u64 more[14]; };
struct attributes { u64 address, size, attributes, flags; };
struct prefault { u64 gpa, size, flags, padding[5]; };
struct memory_fault { u64 flags, gpa, size; };

#define CONVERT(number) _IOWR(0xaf, number, struct convert)
#define CREATE_GUEST_MEMFD _IOWR(KVMIO, 0xd4, struct create)
#define SET_REGION2 _IOW(KVMIO, 0x49, struct region)
#define SET_ATTRIBUTES _IOW(KVMIO, 0xd2, struct attributes)
#define PRE_FAULT _IOWR(KVMIO, 0xd5, struct prefault)
enum { MEMORY_FAULT = 39, CODE = 0x1000, CODE_SLOT = 400 };

static void vm(char **w)
{
	make(w[0], made(ioctl(kvm, KVM_CREATE_VM, number(w[1]))));
}

static void gmem(char **w)
{
	struct create create = { .size = number(w[2]), .flags = number(w[3]) };

	for (int i = 0; i < 6; i++)
		create.reserved[i] = option(w, "reserved");
	make(w[0], made(ioctl(find(w[1])->fd, CREATE_GUEST_MEMFD, &create)));
}

static void capability(char **w)
{
	result(ioctl(find(w[0])->fd, KVM_CHECK_EXTENSION, number(w[1])));
}

static void convert(char **w, int request)
{
	struct convert before = { .offset = number(w[1]), .size = number(w[2]), .error_offset = option(w, "error_offset") };
	struct convert after;

	for (int i = 0; i < 5; i++)
		before.reserved[i] = option(w, "reserved");
	after = before;
	result(ioctl(find(w[0])->fd, request, &after));
	if (after.error_offset != before.error_offset)
		say(" error_offset=0x%llx", (unsigned long long)after.error_offset);
	after.error_offset = before.error_offset;
	if (memcmp(&before, &after, sizeof before) != 0)
		say(" and more");
}

static void shared(char **w)
{
	convert(w, CONVERT(0x41));
}

static void private(char **w)
{
	convert(w, CONVERT(0x42));
}

static void private_read_only(char **w)
{
	struct convert *args = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*args = (struct convert){ number(w[1]), number(w[2]), option(w, "error_offset"), { 0 } };
	mprotect(args, 4096, PROT_READ);
	result(ioctl(find(w[0])->fd, CONVERT(0x42), args));
	munmap(args, 4096);
}

static void private_nowhere(char **w)
{
	result(ioctl(find(w[0])->fd, CONVERT(0x42), number(w[1])));
}

static void request(char **w)
{
	unsigned char zeroes[512] = { 0 };

	result(ioctl(find(w[0])->fd, number(w[1]), zeroes));
}

static void slot(char **w)
{
	struct region region = {
		.slot = (u32)number(w[1]),
		.flags = (u32)option(w, "flags"),
		.gpa = number(w[2]),
		.size = number(w[3]),
		.address = option(w, "at"),
		.fd = (u32)option(w, "fd"),
		.offset = option(w, "offset"),
	};

	if (w[3] && w[4] && !strchr(w[4], '='))
		region.fd = (u32)find(w[4])->fd;
	result(ioctl(find(w[0])->fd, SET_REGION2, &region));
}

static void attributes(char **w)
{
	struct attributes arguments = { number(w[1]), number(w[2]), number(w[3]), 0 };

	result(ioctl(find(w[0])->fd, SET_ATTRIBUTES, &arguments));
}

/* A guest in real mode, whose data segment is wherever it is to look. */
static struct thing *with_vcpu(struct thing *vm)
{
	/* mov %al,(%bx); out %al,$16; and mov (%bx),%al; out %al,$16 */
	static const unsigned char code[] = { 0x88, 0x07, 0xe6, 0x10, 0x8a, 0x07, 0xe6, 0x10 };
	struct kvm_userspace_memory_region region = { .slot = CODE_SLOT, .guest_phys_addr = CODE, .memory_size = 4096 };
	void *memory;

	if (vm->vcpu >= 0)
		return vm;
	memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memcpy(memory, code, sizeof code);
	region.userspace_addr = (u64)memory;
	if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		die("the guest's code", vm->name);
	vm->vcpu = ioctl(vm->fd, KVM_CREATE_VCPU, 0);
	vm->run = mmap(NULL, ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpu, 0);
	return vm;
}

/* The rest of the instruction that made the exit, and no more. */
static void finish(struct thing *vm)
{
	vm->run->immediate_exit = 1;
	ioctl(vm->vcpu, KVM_RUN, 0);
	vm->run->immediate_exit = 0;
}

static void guest(char **w, u64 entry, u64 value)
{
	struct thing *vm = with_vcpu(find(w[0]));
	struct kvm_run *run = vm->run;
	struct memory_fault fault;
	struct kvm_regs registers = { .rflags = 2, .rip = entry, .rax = value };
	struct kvm_sregs segments;
	int failed;

	ioctl(vm->vcpu, KVM_GET_SREGS, &segments);
	segments.cs.base = CODE;
	segments.cs.selector = CODE >> 4;
	segments.ds.base = number(w[1]);
	ioctl(vm->vcpu, KVM_SET_SREGS, &segments);
	ioctl(vm->vcpu, KVM_SET_REGS, &registers);
	failed = ioctl(vm->vcpu, KVM_RUN, 0) < 0;
	if (failed)
		say("%s ", strerrorname_np(errno));
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		say("%d", *((unsigned char *)run + run->io.data_offset));
		finish(vm);
		break;
	case KVM_EXIT_MMIO:
		say("mmio 0x%llx", (unsigned long long)run->mmio.phys_addr);
		finish(vm);
		break;
	case MEMORY_FAULT:
		memcpy(&fault, &run->hw, sizeof fault);
		say("memory fault 0x%llx+0x%llx flags %llx", (unsigned long long)fault.gpa, (unsigned long long)fault.size,
		    (unsigned long long)fault.flags);
		break;
	default:
		say("exit %u", run->exit_reason);
	}
}

static void guest_reads(char **w)
{
	guest(w, 4, 0);
}

static void guest_writes(char **w)
{
	guest(w, 0, number(w[2]));
}

static void prefault(char **w)
{
	struct prefault range = { .gpa = number(w[1]), .size = number(w[2]) };

	result(ioctl(with_vcpu(find(w[0]))->vcpu, PRE_FAULT, &range));
	say(" 0x%llx+0x%llx", (unsigned long long)range.gpa, (unsigned long long)range.size);
}

const struct verb kvm_verbs[] = {
	{ "vm", vm },
	{ "gmem", gmem },
	{ "capability", capability },
	{ "shared", shared },
	{ "private", private },
	{ "private-read-only", private_read_only },
	{ "private-nowhere", private_nowhere },
	{ "request", request },
	{ "slot", slot },
	{ "attributes", attributes },
	{ "guest-reads", guest_reads },
	{ "guest-writes", guest_writes },
	{ "prefault", prefault },
	{ NULL, NULL },
};
