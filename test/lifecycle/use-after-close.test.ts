import { describe, expect, test } from 'vitest';
import { membersOf, symbolsOf } from '../host/support/members.ts';
import { makeAllObjects, OBJECT_NAMES, type ObjectName, type Objects } from '../host/support/objects.ts';
import { callMethod, validCalls } from '../host/support/valid-calls.ts';

/** What closes each: itself, or what it hangs on. */
const closers: Record<ObjectName, (objects: Objects) => Promise<void>> = {
  host: ({ host }) => host.close(),
  raw: ({ host }) => host.close(),
  vm: ({ vm }) => vm.close(),
  gmem: ({ gmem }) => gmem.close(),
  mapping: ({ mapping }) => mapping.close(),
  region: ({ vm }) => vm.close(),
  vcpu: ({ vcpu }) => vcpu.close(),
  guest: ({ guest }) => guest.close(),
  vmVfio: ({ vmVfio }) => vmVfio.close(),
  iommufd: ({ iommufd }) => iommufd.close(),
  // With its page table it would be in use.
  ioas: ({ iommufd }) => iommufd.close(),
  mockDevice: ({ mockDevice }) => mockDevice.close(),
  hwpt: ({ hwpt }) => hwpt.close(),
  vfio: ({ host }) => host.close(),
  // While the device is open it is not given back.
  binding: ({ host }) => host.close(),
  container: ({ container }) => container.close(),
  group: ({ group }) => group.close(),
  device: ({ device }) => device.close(),
  config: ({ device }) => device.close(),
  irq: ({ irq }) => irq.close(),
};

/** Answers about the object itself, which closing does not take away. */
const ALWAYS = new Set(['closed', 'deleted']);

/** May be undefined in an open object as well. */
const OPTIONAL = new Set(['deviceId']);

/** Closing what is closed is fine. */
const CLOSES = new Set(['close', 'tryClose']);

/** What asks nothing: a mock's guests, and giving back a device that was bound before. */
const KNOWN = new Set(['host.guestSupport', 'binding.tryClose']);

const objects = await makeAllObjects();
const members = new Map(OBJECT_NAMES.map((name) => [name, membersOf(Object.getPrototypeOf(objects[name]))]));
await objects.host.close();

for (const name of OBJECT_NAMES) {
  const { methods, accessors } = members.get(name)!;

  describe(name, () => {
    test('is covered: every method has a valid call', () => {
      const known = [...Object.keys(validCalls[name]), 'close'];
      expect(methods.filter((method) => !known.includes(method))).toEqual([]);
      expect(methods.length).toBeGreaterThan(1);
    });

    test.each(methods.filter((method) => method !== 'close' && !KNOWN.has(`${name}.${method}`)))(
      '%s works before',
      async (method) => {
        await using fresh = await makeAllObjects(
          method.includes('MemoryAttributes') ? { kernel: 'linux-7.3' } : undefined,
        );
        const made = await callMethod(fresh, name, method, argsFor(name, method, fresh)).catch((error) => error);
        // The kernel may refuse; what matters is that it was asked.
        expect(fresh.calls.length, String(made)).toBeGreaterThan(0);
      },
    );

    for (const [how, close] of [
      ['closed', closers[name]],
      ['its host closed', closers.host],
    ] as const) {
      test(`no method asks the kernel anything after it is ${how}`, async () => {
        const fresh = await makeAllObjects();
        const asked = methods.filter((method) => !CLOSES.has(method));
        const prepared = asked.map((method) => ({ method, args: argsFor(name, method, fresh) }));
        await close(fresh);
        fresh.calls.length = 0;
        for (const { method, args } of prepared) {
          const refusal = await callMethod(fresh, name, method, args).then(
            () => 'none',
            (error) => error,
          );
          expect(refusal, method).toMatchObject({ name: 'ClosedError', code: 'ERR_CLOSED' });
          expect(fresh.calls, method).toEqual([]);
        }
        await fresh.host.close();
      });

      test(`close after it is ${how} does nothing`, async () => {
        const fresh = await makeAllObjects();
        await close(fresh);
        fresh.calls.length = 0;
        const target = fresh[name] as Partial<AsyncDisposable> & { close?: () => Promise<void> };
        if (name !== 'raw') {
          await target.close?.();
          await target[Symbol.asyncDispose]?.();
        }
        expect(fresh.calls).toEqual([]);
        await fresh.host.close();
      });
    }

    test('no accessor answers after close', async () => {
      const fresh = await makeAllObjects();
      const asked = accessors.filter((accessor) => !ALWAYS.has(accessor));
      for (const accessor of asked) {
        if (!OPTIONAL.has(accessor)) expect(Reflect.get(fresh[name], accessor), accessor).toBeDefined();
      }
      await closers[name](fresh);
      for (const accessor of asked) {
        const answer = () => Reflect.get(fresh[name], accessor);
        expect(answer, accessor).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }));
      }
      await fresh.host.close();
    });

    test('is disposable, but for what is another itself', () => {
      expect(symbolsOf(objects[name]).disposes).toBe(!['raw', 'vfio', 'config'].includes(name));
    });
  });
}

function argsFor(name: ObjectName, method: string, fresh: Objects): unknown[] {
  const calls = validCalls[name] as unknown as Record<string, (objects: Objects) => unknown[]>;
  return calls[method]!(fresh);
}

test('a closed object says so when it is printed, and whether it is closed', async () => {
  const { inspect } = await import('node:util');
  const fresh = await makeAllObjects();
  const { vm, gmem, mapping, host } = fresh;
  const [vmFd, gmemFd] = [vm.fd, gmem.fd];
  expect(inspect(vm)).toBe(`Vm (fd ${vmFd}) { type: 'default' }`);
  expect(inspect({ gmem }, { depth: 0 })).toBe(`{ gmem: [GuestMemfd (fd ${gmemFd})] }`);
  expect([vm.closed, gmem.closed, mapping.closed, host.closed]).toEqual([false, false, false, false]);
  await host.close();
  expect([vm.closed, gmem.closed, mapping.closed, host.closed]).toEqual([true, true, true, true]);
  expect(inspect(vm)).toBe(`Vm (fd ${vmFd}), closed { type: 'default' }`);
});
