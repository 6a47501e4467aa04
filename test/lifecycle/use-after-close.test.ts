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
};

/** Answers about the object itself, which closing does not take away. */
const ALWAYS = new Set(['closed', 'deleted']);

/** What a mock knows without asking. */
const KNOWN = new Set(['guestSupport']);

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

    test.each(methods.filter((method) => method !== 'close' && !KNOWN.has(method)))(
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
      test.each(methods.filter((method) => method !== 'close'))(
        `%s after it is ${how} asks nothing of the kernel`,
        async (method) => {
          const fresh = await makeAllObjects();
          const args = argsFor(name, method, fresh);
          await close(fresh);
          fresh.calls.length = 0;
          await expect(callMethod(fresh, name, method, args)).rejects.toMatchObject({
            name: 'ClosedError',
            code: 'ERR_CLOSED',
          });
          expect(fresh.calls).toEqual([]);
          await fresh.host.close();
        },
      );

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

    test.each(accessors.filter((accessor) => !ALWAYS.has(accessor)))('%s after close throws', async (accessor) => {
      const fresh = await makeAllObjects();
      expect(Reflect.get(fresh[name], accessor)).toBeDefined();
      await closers[name](fresh);
      expect(() => Reflect.get(fresh[name], accessor)).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }));
      await fresh.host.close();
    });

    test('is disposable, but for raw, which is the host itself', () => {
      expect(symbolsOf(objects[name]).disposes).toBe(name !== 'raw');
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
