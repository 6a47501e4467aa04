/* What the verbs of a table share. */

#pragma once

#include <stdint.h>
#include <stddef.h>

#include <linux/kvm.h>

typedef uint64_t u64;
typedef uint32_t u32;

/* What a line has made, by the name it gave it. */
struct thing {
	char name[16];
	int fd;
	unsigned char *memory;
	size_t length;
	int vcpu;
	struct kvm_run *run;
};

/* /dev/kvm */
extern int kvm;

struct thing *make(const char *name, int fd);
struct thing *find(const char *name);

/* Adds to the answer; result() a number or an errno, made() "ok" or an errno, since new descriptors have any number. */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);
long result(long value);
int made(int fd);

/* A number, or NAME+OFFSET for an address in a mapping; the value of NAME=VALUE among the words, or 0. */
u64 number(const char *text);
u64 option(char **words, const char *name);

_Noreturn void die(const char *what, const char *which);

struct verb {
	const char *name;
	void (*make)(char **words);
};

/* Each ends with a verb without a name. */
extern const struct verb kvm_verbs[], memory_verbs[], holding_verbs[];
