/*
 * Makes the calls of a table on this machine's kernel and holds the answers against it. KTAP on stdout.
 *
 * This is a second opinion: it shares nothing with the library. System calls are made from C, the structs are written
 * down once more, and what is mapped is touched by plain loads and stores. What the verbs mean says observer.ts.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "observe.h"

static struct thing things[64];
static int thing_count;
static char answer[256];
int kvm;

_Noreturn void die(const char *what, const char *which)
{
	fprintf(stderr, "observe: %s: %s\n", what, which);
	exit(2);
}

struct thing *make(const char *name, int fd)
{
	struct thing *thing = &things[thing_count++];

	if (thing_count == sizeof things / sizeof *things)
		die("too many things", name);
	memset(thing, 0, sizeof *thing);
	strncpy(thing->name, name, sizeof thing->name - 1);
	thing->fd = fd;
	thing->vcpu = -1;
	return thing;
}

struct thing *find(const char *name)
{
	for (int i = thing_count; i-- > 0;)
		if (strcmp(things[i].name, name) == 0)
			return &things[i];
	die("nothing of this name", name);
}

static void forget_everything(void)
{
	for (; thing_count > 1; thing_count--) {
		struct thing *thing = &things[thing_count - 1];

		if (thing->memory)
			munmap(thing->memory, thing->length);
		if (thing->run)
			munmap(thing->run, ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
		if (thing->vcpu >= 0)
			close(thing->vcpu);
		if (thing->fd >= 0)
			close(thing->fd);
	}
}

void say(const char *format, ...)
{
	size_t used = strlen(answer);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(answer + used, sizeof answer - used, format, arguments);
	va_end(arguments);
}

long result(long value)
{
	if (value < 0)
		say("%s", strerrorname_np(errno));
	else
		say("%ld", value);
	return value;
}

int made(int fd)
{
	say("%s", fd < 0 ? strerrorname_np(errno) : "ok");
	return fd;
}

u64 number(const char *text)
{
	char name[16] = "";
	const char *plus;

	if (!text)
		return 0;
	if (text[0] == '-')
		return (u64)strtoll(text, NULL, 0);
	if (text[0] >= '0' && text[0] <= '9')
		return strtoull(text, NULL, 0);
	plus = strchr(text, '+');
	strncpy(name, text, plus ? (size_t)(plus - text) : sizeof name - 1);
	return (u64)find(name)->memory + (plus ? strtoull(plus + 1, NULL, 0) : 0);
}

u64 option(char **words, const char *name)
{
	size_t length = strlen(name);

	for (; *words; words++)
		if (strncmp(*words, name, length) == 0 && (*words)[length] == '=')
			return number(*words + length + 1);
	return 0;
}

static const struct verb *find_verb(const char *name)
{
	const struct verb *const lists[] = { kvm_verbs, memory_verbs, holding_verbs };

	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		for (const struct verb *verb = lists[i]; verb->name; verb++)
			if (strcmp(verb->name, name) == 0)
				return verb;
	die("no such verb", name);
}

static void make_call(char *line)
{
	char *words[16] = { NULL };
	int count = 0;

	for (char *word = strtok(line, " \t"); word && count < 15; word = strtok(NULL, " \t"))
		words[count++] = word;
	answer[0] = '\0';
	find_verb(words[0])->make(words + 1);
}

static int results, failures, wrong;
static char title[128];

static void end_section(void)
{
	forget_everything();
	if (!title[0])
		return;
	printf("%sok %d %s\n", wrong ? "not " : "", ++results, title);
	failures += wrong > 0;
	wrong = 0;
}

static void read_line(char *line, int line_number)
{
	char *wanted = strstr(line, "=>"), call[256];

	if (strncmp(line, "## ", 3) == 0) {
		end_section();
		strncpy(title, line + 3, sizeof title - 1);
		return;
	}
	if (line[0] == '#' || !wanted)
		return;
	*wanted = '\0';
	wanted += 2 + strspn(wanted + 2, " ");
	strncpy(call, line, sizeof call - 1);
	make_call(line);
	if (strcmp(answer, wanted) == 0)
		return;
	wrong++;
	printf("# line %d: %s\n#   wanted %s\n#   got    %s\n", line_number, call, wanted, answer);
}

int main(int argc, char **argv)
{
	char line[256];
	FILE *table = argc == 2 ? fopen(argv[1], "r") : NULL;

	if (!table)
		die("usage", "observe TABLE");
	kvm = open("/dev/kvm", O_RDWR);
	make("kvm", kvm);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("KTAP version 1\n");
	for (int i = 1; fgets(line, sizeof line, table); i++) {
		line[strcspn(line, "\n")] = '\0';
		read_line(line, i);
	}
	end_section();
	printf("1..%d\n", results);
	return failures > 0;
}
