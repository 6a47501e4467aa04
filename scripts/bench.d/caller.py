"""What the calls cost with Python's fcntl (and ctypes where the library has no such call). Speaks as caller.c does."""

import ctypes
import fcntl
import json
import os
import sys
from time import monotonic_ns

work = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


def create():
    return fcntl.ioctl(vm, work["create"]["request"], struct)


def fallocate(fd, mode, length):
    if libc.fallocate(fd, mode, 0, length) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def check_extension(count):
    ioctl, request, value = fcntl.ioctl, work["check"]["request"], work["check"]["value"]
    for _ in range(count):
        ioctl(kvm, request, value)


def create_close(count):
    for _ in range(count):
        os.close(create())


def punch_hole(count):
    mode, length = work["punch"]["mode"], work["punch"]["length"]
    for _ in range(count):
        fallocate(gmem, mode, length)


def convert(count):
    ioctl = fcntl.ioctl
    for _ in range(count):
        request, argument = steps[0]
        ioctl(target, request, argument)
        steps.reverse()


def nanoseconds_of(run, count):
    run(count // 10)
    begin = monotonic_ns()
    run(count)
    return monotonic_ns() - begin


operations = {"check-extension": check_extension, "create-close": create_close, "punch-hole": punch_hole}
problem = None
try:
    struct = bytearray(work["create"]["struct"])
    kvm = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    vm = fcntl.ioctl(kvm, work["createVm"]["request"], work["createVm"]["type"])
    gmem = create()
    if "convert" in work:
        operations["convert-2mib"] = convert
        steps = [(step["request"], bytearray(step["struct"])) for step in work["convert"]["steps"]]
        target = vm if work["convert"]["on"] == "vm" else create()
        if target != vm:
            fallocate(target, **work["convert"]["allocate"])
except OSError as error:
    problem = error.strerror

for line in sys.stdin:
    name, count = line.split()
    try:
        print(f"error {problem}" if problem else nanoseconds_of(operations[name], int(count)), flush=True)
    except OSError as error:
        print(f"error {error.strerror}", flush=True)
