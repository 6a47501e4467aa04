import { describe, expect, test } from 'vitest';
import { errno, KVM_GMEM_CONVERT_PRIVATE, KVM_SET_MEMORY_ATTRIBUTES2 } from '../../lib/abi/index.ts';
import type { ConvertOptions } from '../../lib/guest-memfd/index.ts';
import { isKernelError } from '../../lib/host/index.ts';
import { openWatched } from '../host/support/hosts.ts';

const PAGE = 0x1000;
const DIALECTS = [
  { kernel: 'rfc-v2', ioctl: KVM_GMEM_CONVERT_PRIVATE, errorOffset: 16 },
  { kernel: 'inplace-v13', ioctl: KVM_SET_MEMORY_ATTRIBUTES2, errorOffset: 32 },
] as const;

for (const { kernel, ioctl, errorOffset } of DIALECTS) {
  /** A kernel that answers EAGAIN `refusals` times, with the page at 0x1000 in the struct. */
  const setUp = async (refusals: number, onCall: (count: number) => void = () => {}, answer = -errno.EAGAIN) => {
    const entries: bigint[] = [];
    let armed = false;
    const watched = await openWatched(
      { kernel },
      {
        ioctl: (next, fd, request, arg, pointers) => {
          if (request !== ioctl.request || !armed) return next(fd, request, arg, pointers);
          const bytes = arg as Uint8Array;
          const view = new DataView(bytes.buffer, bytes.byteOffset);
          entries.push(view.getBigUint64(errorOffset, true));
          onCall(entries.length);
          if (entries.length > refusals) return next(fd, request, arg, pointers);
          view.setBigUint64(errorOffset, 0x1000n, true);
          return answer;
        },
      },
    );
    const vm = await watched.host.createVm({ type: 'sw-protected' });
    const gmem = await vm.createGuestMemfd({ size: 4 * PAGE, mmap: true, initially: 'shared' });
    armed = true;
    const convert = (options?: ConvertOptions) =>
      gmem.tryConvert({ offset: 0, size: 4 * PAGE, to: 'private' }, options);
    return { watched, gmem, entries, convert };
  };

  describe(`retry with ${kernel}`, () => {
    test('tries once when not asked to retry', async () => {
      const { watched, entries, convert } = await setUp(1);
      await using _ = watched;
      expect(await convert()).toMatchObject({
        ok: false,
        code: 'EAGAIN',
        errorOffset: 0x1000n,
        error: { attempts: 1 },
      });
      expect(entries).toHaveLength(1);
    });

    test('goes on until the reference is gone, with error_offset zero each time', async () => {
      const { watched, entries, convert } = await setUp(3);
      await using _ = watched;
      expect(await convert({ retry: { attempts: 5, delayMs: 0 } })).toEqual({ ok: true, value: undefined });
      expect(entries).toEqual([0n, 0n, 0n, 0n]);
    });

    test('gives up after the attempts asked for, and says how many and why', async () => {
      const { watched, entries, convert } = await setUp(Number.POSITIVE_INFINITY);
      await using _ = watched;
      const result = await convert({ retry: { attempts: 4 } });
      expect(result).toMatchObject({ ok: false, code: 'EAGAIN', errorOffset: 0x1000n, error: { attempts: 4 } });
      expect(!result.ok && result.error.message).toMatch(/after 4 attempts -> the page at 0x1000 is still referenced/);
      expect(entries).toEqual([0n, 0n, 0n, 0n]);
    });

    test('does not retry what no waiting helps', async () => {
      const { watched, entries, convert } = await setUp(2, undefined, -errno.ENOMEM);
      await using _ = watched;
      expect(await convert({ retry: { attempts: 5 } })).toMatchObject({ code: 'ENOMEM', error: { attempts: 1 } });
      expect(entries).toHaveLength(1);
    });

    test('makes no call when the signal is aborted already', async () => {
      const { watched, entries, convert } = await setUp(0);
      await using _ = watched;
      const reason = new Error('never mind');
      await expect(convert({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
      expect(entries).toEqual([]);
    });

    test('ends between two tries when the signal is aborted in the call, and rejects with the reason', async () => {
      const controller = new AbortController();
      const reason = { why: 'not even an Error' };
      const { watched, entries, convert } = await setUp(10, (count) => count === 2 && controller.abort(reason));
      await using _ = watched;
      const retry = { attempts: 10, delayMs: 0 };
      await expect(convert({ retry, signal: controller.signal })).rejects.toBe(reason);
      expect(entries).toHaveLength(2);
    });

    test('ends the waiting when the signal is aborted then', async () => {
      const controller = new AbortController();
      const { watched, entries, convert } = await setUp(10, () => setImmediate(() => controller.abort('enough')));
      await using _ = watched;
      const retry = { attempts: 2, delayMs: 0x7fff_ffff };
      await expect(convert({ retry, signal: controller.signal })).rejects.toBe('enough');
      expect(entries).toHaveLength(1);
    });

    test('keeps a success that came in spite of the abort', async () => {
      const controller = new AbortController();
      const { watched, convert } = await setUp(0, () => controller.abort());
      await using _ = watched;
      expect(await convert({ signal: controller.signal })).toMatchObject({ ok: true });
    });

    test('does not outlive the guest_memfd: closed while waiting, it says so at the next try', async () => {
      const { watched, gmem, entries, convert } = await setUp(10, () => setImmediate(() => void gmem.close()));
      await using _ = watched;
      await expect(convert({ retry: { attempts: 10, delayMs: 20 } })).rejects.toMatchObject({ code: 'ERR_CLOSED' });
      expect(entries).toHaveLength(1);
    });

    test('handles a passing reference of the mock itself', async () => {
      await using watched = await openWatched({ kernel });
      const vm = await watched.host.createVm({ type: 'sw-protected' });
      const gmem = await vm.createGuestMemfd({ size: 4 * PAGE, mmap: true, initially: 'shared' });
      watched.mock.transientReference(gmem.fd, PAGE, 2);
      const range = { offset: 0, size: 4 * PAGE, to: 'private' } as const;
      expect(await gmem.tryConvert(range)).toMatchObject({ code: 'EAGAIN', errorOffset: 0x1000n });
      await gmem.convert(range, { retry: { attempts: 3, delayMs: 0 } });
    });
  });
}

test('a rejected retry is a KernelError like any other', async () => {
  await using watched = await openWatched({ kernel: 'rfc-v2' });
  const gmem = await (await watched.host.createVm()).createGuestMemfd({ size: PAGE, mmap: true, initially: 'shared' });
  using _pin = watched.mock.pin(gmem.fd, 0, PAGE);
  const promise = gmem.convert({ offset: 0, size: PAGE, to: 'private' }, { retry: { attempts: 2, delayMs: 0 } });
  const error = await promise.catch((reason: unknown) => reason);
  expect(isKernelError(error, 'EAGAIN')).toBe(true);
  expect(error).toMatchObject({ attempts: 2, errorOffset: 0n });
});
