/* Three ways to hold a page: get_user_pages(), a pipe, and the page table of an IOMMU. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "observe.h"

/* mm/gup_test.h, linux/iommufd.h, and drivers/iommu/iommufd/iommufd_test.h. */
struct pin { u64 address, size, flags; };
struct ioas_alloc { u32 size, flags, id; };
struct ioas_map { u32 size, flags, id, reserved; u64 address, length, iova; };
struct iommu_test { u32 size, op, id, reserved; u32 stdev, hwpt, idev, pad; u64 more[4]; u32 last, tail; };

#define PIN_START _IOW('g', 7, struct pin)
#define IOAS_ALLOC _IO(';', 0x81)
#define IOAS_MAP _IO(';', 0x85)
#define IOMMU_TEST _IO(';', 0xa0)
enum { WRITABLE = 1, MOCK_DOMAIN = 2, MOCK_IOVA = 1 << 24 };

static void pin(char **w)
{
	struct pin arguments = { number(w[1]), number(w[2]), WRITABLE };
	struct thing *thing = make(w[0], open("/sys/kernel/debug/gup_test", O_RDWR));

	result(thing->fd < 0 ? -1 : ioctl(thing->fd, PIN_START, &arguments));
}

static void splice_it(char **w)
{
	struct iovec page = { (void *)number(w[1]), number(w[2]) };
	int pipes[2];

	if (pipe(pipes) < 0)
		die("pipe", w[0]);
	result(vmsplice(pipes[1], &page, 1, 0) == (ssize_t)page.iov_len ? 0 : -1);
	close(pipes[1]);
	make(w[0], pipes[0]);
}

static void iommu(char **w)
{
	struct ioas_alloc ioas = { .size = sizeof ioas };
	struct thing *thing = make(w[0], open("/dev/iommu", O_RDWR));
	struct iommu_test device = { .size = sizeof device, .op = MOCK_DOMAIN };
	struct ioas_map mapping = { .size = sizeof mapping, .flags = 7, .iova = MOCK_IOVA };

	if (thing->fd < 0 || ioctl(thing->fd, IOAS_ALLOC, &ioas) < 0) {
		result(-1);
		return;
	}
	device.id = mapping.id = ioas.id;
	if (ioctl(thing->fd, IOMMU_TEST, &device) < 0) {
		result(-1);
		return;
	}
	mapping.address = number(w[1]);
	mapping.length = number(w[2]);
	result(ioctl(thing->fd, IOAS_MAP, &mapping));
}

const struct verb holding_verbs[] = {
	{ "pin", pin },
	{ "splice", splice_it },
	{ "iommu", iommu },
	{ NULL, NULL },
};
