import { readdirSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isClosedError, isKernelError, isUnsupportedError } from '../../lib/host/index.ts';
import { openHost } from '../../lib/kvm/index.ts';
import { realKernels, titleOf } from '../host/support/hosts.ts';
import { membersOf } from '../host/support/members.ts';
import { makeAllObjects, OBJECT_NAMES, type ObjectName, type Objects } from '../host/support/objects.ts';
import { callMethod, validCalls } from '../host/support/valid-calls.ts';
import { type Bad, rawCalls, table } from './table.ts';
import { anything, show } from './values.ts';

let objects: Objects;
beforeAll(async () => {
  objects = await makeAllObjects();
});
afterAll(() => objects.host.close());

/** The arguments with one part replaced. Objects are copied on the way, so that the valid ones stay valid. */
function replaced(value: unknown, path: readonly string[], part: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return part;
  const copy = (Array.isArray(value) ? [...value] : { ...(value as object) }) as Record<string, unknown>;
  copy[key] = replaced(copy[key], rest, part);
  return copy;
}

const valid = (name: ObjectName, method: string): unknown[] =>
  name === 'raw' && method === 'close'
    ? [0]
    : (validCalls[name] as unknown as Record<string, (all: Objects) => unknown[]>)[method]!(objects);

/** A TypeError or RangeError with one of Node's codes: wrong use, as told from a bug in this package. */
async function expectWrongUse(name: ObjectName, method: string, args: unknown[]): Promise<void> {
  const { calls, mock } = objects;
  const { openFds } = mock;
  calls.length = 0;
  const error = await callMethod(objects, name, method, args).then(
    (answer) => new Error(`it answered ${show(answer)}`),
    (reason: unknown) => reason,
  );
  if (!(error instanceof TypeError) && !(error instanceof RangeError)) throw error;
  expect((error as { code?: string }).code, error.stack).toMatch(/^ERR_(INVALID_ARG|OUT_OF_RANGE|BUFFER_OUT)/);
  expect(calls).toEqual([]);
  expect(mock.openFds).toBe(openFds);
}

for (const name of OBJECT_NAMES) {
  describe(name, () => {
    test('has all its methods in the table', () => {
      const { methods } = membersOf(Object.getPrototypeOf(objects[name]));
      const known = Object.keys(table[name]);
      expect(methods.filter((method) => !known.includes(method) && method !== 'close')).toEqual([]);
    });

    for (const [method, bads] of Object.entries(table[name] as Record<string, readonly Bad[]>)) {
      for (const { at, values } of bads) {
        test(`${method}: nothing wrong for ${at} gets through`, async () => {
          for (const value of values) {
            const args = replaced(valid(name, method), at.split('.'), value) as unknown[];
            await expectWrongUse(name, method, args).catch((error: Error) => {
              error.message = `${show(value)}: ${error.message}`;
              throw error;
            });
          }
        });
      }
    }
  });
}

describe('raw, given what no ioctl takes', () => {
  for (const method of ['ioctl', 'tryIoctl', 'ioctlSync', 'tryIoctlSync']) {
    test.each(rawCalls)(`${method}: $title`, async ({ args }) => {
      await expectWrongUse('raw', method, args(objects));
    });
  }
});

/** Refusals that are meant: of wrong use, of the kernel, of what it does not have. */
const isMeant = (error: unknown): boolean =>
  isKernelError(error) ||
  isUnsupportedError(error) ||
  isClosedError(error) ||
  ((error instanceof TypeError || error instanceof RangeError) &&
    /^ERR_/.test((error as { code?: string }).code ?? ''));

/** Closes what a call made after all. */
async function discard(made: unknown): Promise<undefined> {
  const { value = made } = (made ?? {}) as { value?: Partial<AsyncDisposable> };
  await (value as Partial<AsyncDisposable> | undefined)?.[Symbol.asyncDispose]?.();
}

describe('whatever is passed, a refusal is meant', () => {
  // Closing a file of the test, or ending the process, is nothing a random number may do.
  const methods = OBJECT_NAMES.flatMap((name) =>
    Object.keys(validCalls[name])
      .filter((method) => (table[name] as Record<string, readonly Bad[]>)[method]?.length)
      .map((method) => ({ name, method })),
  );

  test.each(methods)('$name, $method', async ({ name, method }) => {
    const given = fc.tuple(fc.nat({ max: 2 }), anything(), anything());
    const meant = async ([position, one, other]: [number, unknown, unknown]): Promise<void> => {
      const args = valid(name, method);
      args[position] = one;
      if (position === 2) args[1] = other;
      const error = await callMethod(objects, name, method, args).then(discard, (reason: unknown) => reason);
      if (error !== undefined && !isMeant(error)) throw error;
    };
    // Where the timeout is left out, an interrupt that never comes is waited for a second.
    const numRuns = method === 'wait' ? 4 : 60;
    await fc.assert(fc.asyncProperty(given, meant), { numRuns, seed: 20_261_123 });
  });
});

describe('no file is left open on a real kernel', () => {
  const openFiles = () => readdirSync('/proc/self/fd').length;

  for (const real of realKernels) {
    test.skipIf(real.missing !== undefined)(titleOf(real), async () => {
      await using host = await openHost(real.options);
      const vm = await host.createVm();
      const gmem = await vm.createGuestMemfd({ size: 0x1000, mmap: true, initially: 'shared' });
      await (await gmem.map()).write(0, Uint8Array.of(1));
      const before = openFiles();
      for (const { values } of table.vm.createGuestMemfd.filter(({ at }) => at === '0.size')) {
        for (const size of values) {
          await expect(vm.createGuestMemfd({ size: size as number })).rejects.toMatchObject({
            code: expect.stringMatching(/^ERR_/),
          });
        }
      }
      expect(await vm.tryCreateGuestMemfd({ size: 0x1000, rawFlags: 1n << 63n })).toMatchObject({ code: 'EINVAL' });
      expect(await gmem.tryMap({ prot: 4 })).toMatchObject({ code: 'EPERM' });
      expect(await gmem.tryAllocate({ offset: 0x1000, size: 0x1000 })).toMatchObject({ code: 'EINVAL' });
      expect(openFiles()).toBe(before);
    });
  }
});
