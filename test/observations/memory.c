/* What a process does with files and with its memory. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "observe.h"

/* What two words say: NAME OFFSET. */
static unsigned char *at(char **words)
{
	return find(words[0])->memory + number(words[1]);
}

static void map(char **w)
{
	int protection = w[4] ? (int)number(w[4]) : PROT_READ | PROT_WRITE;
	int flags = w[4] && w[5] ? (int)number(w[5]) : MAP_SHARED;
	void *memory = mmap(NULL, number(w[3]), protection, flags, find(w[1])->fd, (off_t)number(w[2]));
	struct thing *thing = make(w[0], -1);

	made(memory == MAP_FAILED ? -1 : 0);
	if (memory == MAP_FAILED)
		return;
	thing->memory = memory;
	thing->length = number(w[3]);
}

static void anonymous(char **w)
{
	struct thing *thing = make(w[0], -1);

	thing->length = number(w[1]);
	thing->memory = mmap(NULL, thing->length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	made(0);
}

static void unmap(char **w)
{
	struct thing *thing = find(w[0]);

	result(munmap(thing->memory, thing->length));
	thing->memory = NULL;
}

static void memfd(char **w)
{
	int fd = memfd_create(w[0], 0);

	if (ftruncate(fd, (off_t)number(w[1])) < 0)
		die("ftruncate", w[0]);
	make(w[0], made(fd));
}

static void copy(char **w)
{
	make(w[0], made(dup(find(w[1])->fd)));
}

static void close_it(char **w)
{
	struct thing *thing = find(w[0]);

	result(close(thing->fd));
	thing->fd = -1;
}

static sigjmp_buf touched;
static volatile sig_atomic_t caught;
static siginfo_t signal_info;

static void on_signal(int signal, siginfo_t *info, void *context)
{
	(void)context;
	caught = signal;
	signal_info = *info;
	siglongjmp(touched, 1);
}

/* A load or a store, and the signal that it raises. */
static void touch(volatile unsigned char *address, int store, unsigned char value)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_NODEFER };

	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	if (sigsetjmp(touched, 1)) {
		say("%s", caught == SIGBUS ? "SIGBUS" : "SIGSEGV");
		if (caught == SIGBUS && signal_info.si_code != BUS_ADRERR)
			say(" of code %d", signal_info.si_code);
		if (signal_info.si_addr != (void *)address)
			say(" elsewhere");
		return;
	}
	if (store)
		*address = value;
	else
		value = *address;
	say(store ? "ok" : "%d", value);
}

static void load(char **w)
{
	touch(at(w), 0, 0);
}

static void store(char **w)
{
	touch(at(w), 1, (unsigned char)number(w[2]));
}

static void child_loads(char **w)
{
	volatile unsigned char *address = at(w);
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		signal(SIGBUS, SIG_DFL);
		_exit(*address);
	}
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status))
		say("SIG%s", sigabbrev_np(WTERMSIG(status)));
	else
		say("%d", WEXITSTATUS(status));
}

static void kernel_reads(char **w)
{
	int pipes[2];

	if (pipe(pipes) < 0)
		die("pipe", w[0]);
	result(write(pipes[1], at(w), 1));
	close(pipes[0]);
	close(pipes[1]);
}

static void kernel_writes(char **w)
{
	int pipes[2];

	if (pipe(pipes) < 0 || write(pipes[1], "", 1) != 1)
		die("pipe", w[0]);
	result(read(pipes[0], at(w), 1));
	close(pipes[0]);
	close(pipes[1]);
}

static void another_process_reads(char **w)
{
	char byte;
	struct iovec to = { &byte, 1 }, from = { at(w), 1 };

	result(process_vm_readv(getpid(), &to, 1, &from, 1, 0));
}

static void proc_mem_reads(char **w)
{
	int fd = open("/proc/self/mem", O_RDONLY);
	char byte;

	result(pread(fd, &byte, 1, (off_t)at(w)));
	close(fd);
}

static void advise(char **w)
{
	result(madvise(at(w), number(w[2]), (int)number(w[3])));
}

static void lock(char **w)
{
	result(mlock(at(w), number(w[2])));
	munlock(find(w[0])->memory, find(w[0])->length);
}

static void allocate(char **w)
{
	result(fallocate(find(w[0])->fd, (int)number(w[1]), (off_t)number(w[2]), (off_t)number(w[3])));
}

static void truncate_it(char **w)
{
	result(ftruncate(find(w[0])->fd, (off_t)number(w[1])));
}

static void pread_it(char **w)
{
	char byte;

	result(pread(find(w[0])->fd, &byte, 1, 0));
}

static void pwrite_it(char **w)
{
	result(pwrite(find(w[0])->fd, "", 1, 0));
}

static void status(char **w)
{
	struct stat found;

	fstat(find(w[0])->fd, &found);
	say("size=0x%llx blocks=%lld", (unsigned long long)found.st_size, (long long)found.st_blocks);
}

const struct verb memory_verbs[] = {
	{ "map", map },
	{ "anonymous", anonymous },
	{ "unmap", unmap },
	{ "memfd", memfd },
	{ "copy", copy },
	{ "close", close_it },
	{ "load", load },
	{ "store", store },
	{ "child-loads", child_loads },
	{ "kernel-reads", kernel_reads },
	{ "kernel-writes", kernel_writes },
	{ "another-process-reads", another_process_reads },
	{ "proc-mem-reads", proc_mem_reads },
	{ "advise", advise },
	{ "lock", lock },
	{ "allocate", allocate },
	{ "truncate", truncate_it },
	{ "pread", pread_it },
	{ "pwrite", pwrite_it },
	{ "status", status },
	{ NULL, NULL },
};
