import { describe, expect, test } from 'vitest';
import { KVM_CREATE_VM, KVM_SET_USER_MEMORY_REGION2, O_RDWR } from '../../lib/abi/index.ts';
import { probeBackend } from '../../lib/host/index.ts';
import { Host, openHost, type Vm } from '../../lib/kvm/index.ts';
import { createMock } from '../../lib/mock/index.ts';
import { kernels, openWatched, titleOf } from '../host/support/hosts.ts';
import { makeObjects, PAGE, SIZE } from '../host/support/objects.ts';
import { type Answers, watch } from '../host/support/seam.ts';

/** A gate that a call waits at. */
function gate() {
  let open = () => {};
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open };
}

const settle = async () => {
  for (let i = 0; i < 20; i++) await Promise.resolve();
};

const closings = (calls: { name: string; args: readonly unknown[] }[]) =>
  calls.filter(({ name }) => name === 'close' || name === 'munmap').map(({ name, args }) => `${name} ${args[0]}`);

describe('host.close()', () => {
  test('closes what is open, last opened first, and /dev/kvm last', async () => {
    const { host, vm, gmem, mapping, raw, calls, mock } = await makeObjects();
    const { ret: other } = await raw.ioctl(host, KVM_CREATE_VM, 0);
    const copy = await gmem.dup();
    const [first, second] = [await copy.map(), await copy.dup()];
    await second.close();
    calls.length = 0;
    const order = [
      `munmap ${first.address}`,
      `close ${copy.fd}`,
      `close ${other}`,
      `munmap ${mapping.address}`,
      `close ${gmem.fd}`,
      `close ${vm.fd}`,
      `close ${host.fd}`,
    ];
    await host.close();
    expect(closings(calls)).toEqual(order);
    expect(mock.openFds).toBe(0);
    expect(mock.pagesInUse).toBe(0);
  });

  test('refuses new work from the moment it is called', async () => {
    const { host, vm, gmem, mapping } = await makeObjects();
    const closing = host.close();
    for (const work of [
      host.createVm(),
      vm.checkExtension(3),
      vm.createGuestMemfd({ size: SIZE }),
      gmem.dup(),
      mapping.read(0, 1),
      host.raw.ioctl(3, KVM_CREATE_VM, 0),
    ]) {
      await expect(work).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    }
    await closing;
  });

  test('is one when called twice at once, and nothing when called again', async () => {
    const { host, calls } = await makeObjects();
    await Promise.all([host.close(), host.close(), host[Symbol.asyncDispose]()]);
    expect(new Set(closings(calls)).size).toBe(closings(calls).length);
    calls.length = 0;
    await host.close();
    expect(calls).toEqual([]);
  });

  test('closes the rest when something does not close, and reports it', async () => {
    const failing: Answers = {
      close: (next, fd) => {
        next(fd);
        return fail.has(fd) ? -5 : 0;
      },
    };
    const fail = new Set<number>();
    const { host, vm, gmem, mock } = await makeObjects(undefined, failing);
    fail.add(gmem.fd);
    const one = { code: 'EIO', syscall: 'close', fd: gmem.fd };
    fail.add(vm.fd);
    const vmFd = vm.fd;
    const error = await host.close().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(AggregateError);
    expect((error as AggregateError).errors).toMatchObject([one, { code: 'EIO', fd: vmFd }]);
    expect(mock.openFds).toBe(0);
    // It is closed all the same.
    await host.close();
    await gmem.close();
  });

  test('gives back what the backend holds, once everything is closed', async () => {
    const { syscalls, controls } = createMock();
    const open: number[] = [];
    const seam = watch({ ...syscalls, dispose: () => open.push(controls.openFds) });
    const opened = {
      syscalls: seam.syscalls,
      system: await syscalls.open('/dev/kvm', O_RDWR),
      reason: '',
      release: '',
    };
    const host = new Host(await probeBackend(opened, undefined));
    await host.createVm();
    await host.close();
    await host.close();
    expect(open).toEqual([0]);
  });

  test('reports a single failure as it is', async () => {
    const { host, mock } = await makeObjects(undefined, { munmap: () => -22 });
    await expect(host.close()).rejects.toMatchObject({ code: 'EINVAL', syscall: 'munmap' });
    expect(mock.openFds).toBe(0);
  });
});

describe('an object', () => {
  test('works on after another of the same host is closed', async () => {
    await using objects = await makeObjects();
    const { vm, gmem, mapping } = objects;
    await vm.close();
    await mapping.write(0, Uint8Array.of(1));
    await gmem.convert({ offset: 0, size: PAGE, to: 'private' });
  });

  test('closes once: a second close is the first, or nothing', async () => {
    await using objects = await makeObjects();
    const { vm, calls } = objects;
    const fd = vm.fd;
    await Promise.all([vm.close(), vm.close()]);
    await vm.close();
    expect(closings(calls)).toEqual([`close ${fd}`]);
  });

  test('is disposed of by `await using`, in reverse order', async () => {
    const watched = await openWatched({ kernel: 'rfc-v2' });
    const expected: string[] = [];
    {
      await using host = watched.host;
      await using vm = await host.createVm();
      await using gmem = await vm.createGuestMemfd({ size: SIZE, mmap: true });
      await using map = await gmem.map();
      await using region = await vm.setMemoryRegion({
        slot: 0,
        guestPhysAddr: 0,
        size: SIZE,
        gmem,
        userspaceAddr: map,
      });
      expect(region.deleted).toBe(false);
      expected.push(`munmap ${map.address}`, `close ${gmem.fd}`, `close ${vm.fd}`, `close ${host.fd}`);
      watched.calls.length = 0;
    }
    const [first] = watched.calls;
    expect(first?.args[1]).toBe(KVM_SET_USER_MEMORY_REGION2.request);
    expect(closings(watched.calls)).toEqual(expected);
  });

  test('is disposed of when an assertion fails in between', async () => {
    const watched = await openWatched();
    const body = async () => {
      await using host = watched.host;
      await using _vm = await host.createVm();
      throw new Error('assertion failed');
    };
    await expect(body()).rejects.toThrow('assertion failed');
    expect(watched.mock.openFds).toBe(0);
  });
});

describe('closing during a call', () => {
  test('waits for the call', async () => {
    const { passed, open } = gate();
    await using objects = await makeObjects(undefined, {
      fallocate: async (next, ...args) => {
        await passed;
        return next(...args);
      },
    });
    const { gmem, calls } = objects;
    const working = gmem.tryPunchHole({ offset: 0, size: PAGE });
    const closing = gmem.close();
    await settle();
    expect(closings(calls)).toEqual([]);
    open();
    expect(await working).toMatchObject({ ok: true });
    await closing;
    expect(closings(calls)).toHaveLength(1);
  });

  test('waits for calls on other fds that it is an argument of', async () => {
    const { passed, open } = gate();
    let held = false;
    await using objects = await makeObjects(undefined, {
      ioctl: async (next, ...args) => {
        if (held && args[1] === KVM_SET_USER_MEMORY_REGION2.request) await passed;
        return next(...args);
      },
    });
    const { vm, gmem, mapping, calls, region } = objects;
    await region.delete();
    held = true;
    calls.length = 0;
    const setting = vm.setMemoryRegion({ slot: 1, guestPhysAddr: 0, size: SIZE, gmem, userspaceAddr: mapping });
    const closing = Promise.all([gmem.close(), mapping.close(), vm.close()]);
    await settle();
    expect(closings(calls)).toEqual([]);
    open();
    await setting;
    await closing;
    expect(closings(calls)).toHaveLength(3);
  });

  const slowMaker = async () => {
    const { passed, open } = gate();
    let armed = false;
    const answers: Answers = {
      ioctlFd: async (next, ...args) => {
        if (armed) await passed;
        return next(...args);
      },
    };
    const { host, calls, mock } = await openWatched({}, answers);
    armed = true;
    return { host, calls, mock, open };
  };

  test('of the host waits for what is being made, and closes it', async () => {
    const { host, calls, mock, open } = await slowMaker();
    const making = host.createVm();
    const closing = host.close();
    await settle();
    expect(closings(calls)).toEqual([]);
    open();
    const vm: Vm = await making;
    expect(vm.closed).toBe(true);
    await closing;
    expect(mock.openFds).toBe(0);
  });

  test('of the host waits for raw requests, and closes what they return', async () => {
    const { host, calls, mock, open } = await slowMaker();
    const making = host.raw.ioctl(host, KVM_CREATE_VM, 0);
    const closing = host.close();
    await settle();
    expect(closings(calls)).toEqual([]);
    open();
    expect(await making).toMatchObject({ ok: true });
    await closing;
    expect(mock.openFds).toBe(0);
  });
});

for (const kernel of kernels) {
  describe.skipIf(kernel.missing !== undefined)(`many calls and a close at once: ${titleOf(kernel)}`, () => {
    test('all calls end well, then it closes', async () => {
      const host = await openHost(kernel.options);
      const vm = await host.createVm();
      const gmem = await vm.createGuestMemfd({ size: SIZE, mmap: true, initially: 'shared' });
      const map = await gmem.map();
      const work = Array.from({ length: 50 }, () => [
        vm.checkExtension(3),
        gmem.punchHole({ offset: 0, size: PAGE }),
        gmem.stat(),
        map.write(0, Uint8Array.of(1)),
        map.read(PAGE, PAGE),
      ]).flat();
      const closing = host.close();
      const results = await Promise.allSettled(work);
      expect(results.filter(({ status }) => status === 'rejected')).toEqual([]);
      await closing;
    });
  });
}
