/*
 * The yardstick: what the calls cost in C. Built with the numbers of work.ts as definitions.
 * Reads "OPERATION COUNT" lines and answers each with the nanoseconds of COUNT calls, or "error ...".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static int kvm, vm, gmem;
static uint8_t create_struct[] __attribute__((aligned(8))) = CREATE_STRUCT;

static int create(void) { return ioctl(vm, CREATE_REQUEST, create_struct); }

static int check_extension(long count) {
  for (long i = 0; i < count; i++) {
    if (ioctl(kvm, CHECK_REQUEST, CHECK_VALUE) < 0) return -1;
  }
  return 0;
}

static int check_extension_many(long count) {
  uint64_t values[BATCH];
  for (int i = 0; i < BATCH; i++) values[i] = CHECK_VALUE;
  for (long done = 0; done < count; done += BATCH) {
    const long batch = count - done < BATCH ? count - done : BATCH;
    for (long i = 0; i < batch; i++) {
      if (ioctl(kvm, CHECK_REQUEST, values[i]) < 0) return -1;
    }
  }
  return 0;
}

static int create_close(long count) {
  for (long i = 0; i < count; i++) {
    const int fd = create();
    if (fd < 0 || close(fd) < 0) return -1;
  }
  return 0;
}

static int punch_hole(long count) {
  for (long i = 0; i < count; i++) {
    if (fallocate(gmem, PUNCH_MODE, 0, PUNCH_LENGTH) < 0) return -1;
  }
  return 0;
}

#ifdef CONVERT_STRUCTS
static const unsigned long convert_requests[] = CONVERT_REQUESTS;
static uint8_t convert_structs[] __attribute__((aligned(8))) = CONVERT_STRUCTS;
static int converted;

static int convert(long count) {
  static long turn;
  const int fd = CONVERT_ON_VM ? vm : converted;
  for (long i = 0; i < count; i++, turn ^= 1) {
    if (ioctl(fd, convert_requests[turn], convert_structs + turn * CONVERT_STRUCT_SIZE) < 0) return -1;
  }
  return 0;
}
#endif

static const struct {
  const char *name;
  int (*run)(long count);
} operations[] = {
    {"check-extension", check_extension},
    {"check-extension-many", check_extension_many},
    {"create-close", create_close},
    {"punch-hole", punch_hole},
#ifdef CONVERT_STRUCTS
    {"convert-2mib", convert},
#endif
};

static int set_up(void) {
  kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
  if (kvm < 0) return -1;
  vm = ioctl(kvm, VM_REQUEST, VM_TYPE);
  if (vm < 0) return -1;
  gmem = create();
  if (gmem < 0) return -1;
#ifdef CONVERT_STRUCTS
  converted = create();
  if (converted < 0 || fallocate(converted, ALLOCATE_MODE, 0, ALLOCATE_LENGTH) < 0) return -1;
#endif
  return 0;
}

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000ll + time.tv_nsec;
}

/* The first tenth is not timed: waking up has left the caches to others. */
static void answer(const char *name, long count) {
  for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
    if (strcmp(operations[i].name, name) != 0) continue;
    if (operations[i].run(count / 10) < 0) break;
    const int64_t begin = now();
    if (operations[i].run(count) < 0) break;
    printf("%lld\n", (long long)(now() - begin));
    return;
  }
  printf("error %s\n", errno ? strerror(errno) : "no such operation");
}

static void *sleep_on(void *unused) {
  for (;;) pause();
  return unused;
}

/* With an argument it has a second thread, which does nothing. */
int main(int argc, char **argv) {
  char name[32];
  long count;
  pthread_t thread;
  (void)argv;
  if (argc > 1 && pthread_create(&thread, NULL, sleep_on, NULL) != 0) return 1;
  setvbuf(stdout, NULL, _IOLBF, 0);
  const int ready = set_up();
  const int reason = errno;
  while (scanf("%31s %ld", name, &count) == 2) {
    errno = reason;
    if (ready < 0) printf("error %s\n", strerror(reason));
    else answer(name, count);
  }
  return 0;
}
