import { describe, expect, test } from 'vitest';
import { KVM_CREATE_VCPU } from '../../lib/abi/vcpu.ts';
import type { HypercallExit } from '../../lib/kvm/exits.ts';
import { openHost } from '../../lib/kvm/index.ts';
import type { MockOptions } from '../../lib/mock/index.ts';
import { openWatched } from '../host/support/hosts.ts';
import type { Answers } from '../host/support/seam.ts';
import { PAGE, profiles } from './support.ts';

const BASE = 0x1_0000_0000n;
const LARGE = 0x20_0000;
const SIZE = 2 * LARGE + 4 * PAGE;

async function world(options: MockOptions = {}, guestOptions = {}) {
  const watched = await openWatched(options);
  const vm = await watched.host.createVm();
  const gmem = await vm.createGuestMemfd({ size: SIZE, mmap: true, initially: 'shared' });
  const memory = await gmem.map();
  await vm.setMemoryRegion({ slot: 0, guestPhysAddr: BASE, size: SIZE, gmem, userspaceAddr: memory });
  const guest = await vm.createGuest(guestOptions);
  return { ...watched, vm, gmem, memory, guest, [Symbol.asyncDispose]: () => watched.host.close() };
}

const pattern = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8)) & 0xff);

for (const kernel of profiles) {
  describe(`a guest on the mock of ${kernel}`, () => {
    test('says that guests run', async () => {
      await using host = await openHost({ backend: 'mock', kernel });
      expect(await host.guestSupport()).toMatchObject({ available: true });
    });

    test.each([
      ['within a page', 0x10, 0x20],
      ['across a page', PAGE - 3, 7],
      ['across 2 MiB', LARGE - 5, 11],
      ['in several pieces, across 2 MiB', LARGE - 70_001, 200_003],
      ['nothing', 5, 0],
    ])('writes and reads %s', async (_, at, length) => {
      await using all = await world({ kernel });
      const { guest, memory } = all;
      const bytes = pattern(length);
      expect(await guest.write(BASE + BigInt(at), bytes)).toEqual({ ok: true });
      expect(await guest.read(BASE + BigInt(at), length)).toEqual({ ok: true, bytes });
      const around = await memory.read(at - 1, length + 2);
      expect(Buffer.compare(around, Buffer.concat([Buffer.alloc(1), bytes, Buffer.alloc(1)]))).toBe(0);
    });

    test('fills across two borders of 2 MiB', async () => {
      await using all = await world({ kernel });
      const { guest, memory } = all;
      expect(await guest.fill(BASE + 3n, SIZE - 7, 0xa5)).toEqual({ ok: true });
      expect(await memory.read(0, 4)).toEqual(Uint8Array.of(0, 0, 0, 0xa5));
      expect(await memory.read(SIZE - 5, 5)).toEqual(Uint8Array.of(0xa5, 0, 0, 0, 0));
      expect(await memory.read(LARGE - 1, 2)).toEqual(Uint8Array.of(0xa5, 0xa5));
    });

    test('counts what it moved before it left its memory', async () => {
      await using all = await world({ kernel });
      const { guest } = all;
      const inside = 70_000;
      const at = BASE + BigInt(SIZE - inside);
      const end = BASE + BigInt(SIZE);
      const bytes = pattern(inside + 10);
      const left = (write: boolean, data: number) => ({
        ok: false,
        completed: inside,
        exit: { reason: 'mmio', gpa: end, write, data: Uint8Array.of(data) },
      });
      expect(await guest.write(at, bytes)).toMatchObject(left(true, bytes[inside]!));
      expect(await guest.read(at, inside + 10)).toMatchObject(left(false, 0));
      expect(await guest.fill(at, inside + 10, 7)).toMatchObject(left(true, 7));
      // And the vCPU is none the worse for it.
      expect(await guest.read(at, 3)).toEqual({ ok: true, bytes: Uint8Array.of(7, 7, 7) });
    });

    test('has several vCPUs at work at once', async () => {
      await using all = await world({ kernel }, { vcpus: 2 });
      const { guest, memory } = all;
      expect(guest.vcpus).toBe(2);
      const one = pattern(100_000);
      const other = one.map((byte) => byte ^ 0xff);
      const written = await Promise.all([
        guest.write(BASE, one, { vcpu: 0 }),
        guest.write(BASE + BigInt(LARGE), other, { vcpu: 1 }),
        guest.fill(BASE + 100_000n, 10, 1, { vcpu: 0 }),
      ]);
      expect(written).toEqual([{ ok: true }, { ok: true }, { ok: true }]);
      expect(Buffer.compare(await memory.read(0, 100_000), one)).toBe(0);
      expect(Buffer.compare(await memory.read(LARGE, 100_000), other)).toBe(0);
      const [a, b] = await Promise.all([
        guest.read(BASE + BigInt(LARGE), 9, { vcpu: 0 }),
        guest.read(BASE, 9, { vcpu: 1 }),
      ]);
      expect([a, b]).toEqual([
        { ok: true, bytes: other.slice(0, 9) },
        { ok: true, bytes: one.slice(0, 9) },
      ]);
    });
  });
}

describe('mapGpaRange', () => {
  test('is answered by the handler', async () => {
    const seen: HypercallExit[] = [];
    const onHypercall = async (exit: HypercallExit) => {
      seen.push(exit);
      return seen.length === 1 ? 0 : -22n;
    };
    await using all = await world({}, { onHypercall });
    const { vm, guest } = all;
    await vm.enableCap('KVM_CAP_EXIT_HYPERCALL', [1 << 12]);
    expect(await guest.mapGpaRange(BASE, 2 * PAGE, 'private')).toEqual({ ok: true, answer: 0n });
    expect(await guest.mapGpaRange(BASE, PAGE, 'shared')).toEqual({ ok: true, answer: -22n });
    expect(seen.map(({ mapGpaRange }) => mapGpaRange)).toEqual([
      { gpa: BASE, size: BigInt(2 * PAGE), to: 'private' },
      { gpa: BASE, size: BigInt(PAGE), to: 'shared' },
    ]);
  });

  test.each([
    ['there is no handler', undefined],
    ['the handler has no answer', async () => undefined],
  ])('ends with the exit where %s, and the guest works on', async (_, onHypercall) => {
    await using all = await world({}, { onHypercall });
    const { vm, guest } = all;
    await vm.enableCap('KVM_CAP_EXIT_HYPERCALL', [1 << 12]);
    expect(await guest.mapGpaRange(BASE, PAGE, 'shared')).toMatchObject({
      ok: false,
      exit: { reason: 'hypercall', nr: 12n, mapGpaRange: { gpa: BASE, to: 'shared' } },
    });
    expect(await guest.write(BASE, Uint8Array.of(1, 2))).toEqual({ ok: true });
    expect(await guest.read(BASE, 2)).toEqual({ ok: true, bytes: Uint8Array.of(1, 2) });
  });

  test('is answered by KVM where userspace did not ask for it', async () => {
    await using all = await world({}, { onHypercall: async () => 0 });
    expect(await all.guest.mapGpaRange(BASE, PAGE, 'private')).toEqual({ ok: true, answer: -1000n });
  });

  test('an answer that is none is wrong use', async () => {
    await using all = await world({}, { onHypercall: async () => 'done' });
    await all.vm.enableCap('KVM_CAP_EXIT_HYPERCALL', [1 << 12]);
    await expect(all.guest.mapGpaRange(BASE, PAGE, 'private')).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
  });
});

describe('a guest', () => {
  test('is stopped by a page that was converted, and says how far it got', async () => {
    await using all = await world({ kernel: 'rfc-v2' });
    const { guest, gmem } = all;
    await guest.fill(BASE, 3 * PAGE, 1);
    await gmem.convert({ offset: 2 * PAGE, size: PAGE, to: 'private' });
    expect(await guest.read(BASE + 100n, 3 * PAGE)).toMatchObject({
      ok: false,
      completed: 2 * PAGE - 100,
      exit: { reason: 'memory-fault', errno: -14, private: false, flags: 0n, gpa: BASE + BigInt(2 * PAGE) },
    });
    await gmem.convert({ offset: 2 * PAGE, size: PAGE, to: 'shared' });
    expect(await guest.read(BASE + 100n, 3 * PAGE)).toMatchObject({ ok: true });
  });

  test('does not begin once its signal is aborted', async () => {
    await using all = await world();
    const stopped = await all.guest.write(BASE, Uint8Array.of(1), { signal: AbortSignal.abort() });
    expect(stopped).toEqual({ ok: false, completed: 0, exit: { reason: 'interrupted' } });
    expect(await all.memory.read(0, 1)).toEqual(Uint8Array.of(0));
  });

  test('is gone when it is closed, its memory and its vCPUs too, and the VM is left', async () => {
    await using all = await world();
    const { guest, mock } = all;
    const { openFds } = mock;
    expect(guest.closed).toBe(false);
    await Promise.all([guest.close(), guest.close()]);
    expect([guest.closed, mock.openFds]).toEqual([true, openFds - 1]);
    await expect(guest.read(BASE, 0)).rejects.toMatchObject({ name: 'ClosedError', code: 'ERR_CLOSED' });
  });

  test('has successors in the same VM, although no vCPU id is ever given up', async () => {
    await using all = await world({}, { vcpus: 2 });
    const { vm, guest } = all;
    await vm.createVcpu({ id: 3 });
    await guest.write(BASE, Uint8Array.of(5));
    await guest.close();
    await using next = await vm.createGuest({ vcpus: 2 });
    for (const vcpu of [0, 1]) {
      expect(await next.read(BASE, 1, { vcpu })).toEqual({ ok: true, bytes: Uint8Array.of(5) });
    }
    const taken = await Promise.all([0, 1, 2, 3, 4, 5].map((id) => vm.tryCreateVcpu({ id })));
    expect(taken.map(({ ok }) => ok)).toEqual([false, false, false, false, false, true]);
  });

  test('that cannot be made leaves nothing behind', async () => {
    await using all = await world();
    const { vm, guest, mock } = all;
    const before = [mock.openFds, mock.pagesInUse];
    // Its slot is taken.
    expect(await vm.tryCreateGuest()).toMatchObject({ ok: false, code: 'EINVAL' });
    expect([mock.openFds, mock.pagesInUse]).toEqual(before);
    await guest.write(BASE, Uint8Array.of(6));
    await using other = await vm.createGuest({ guestPhysAddr: 0x8000_0000, slot: 5 });
    expect(await other.read(BASE, 1)).toEqual({ ok: true, bytes: Uint8Array.of(6) });
  });

  test('whose second vCPU cannot be made leaves nothing behind', async () => {
    let asked = 0;
    const refusing: Answers = {
      ioctlFd: (next, fd, request, arg, pointers) =>
        request === KVM_CREATE_VCPU.request && ++asked === 2 ? -24 : next(fd, request, arg, pointers),
    };
    await using watched = await openWatched({}, refusing);
    const { host, mock } = watched;
    const vm = await host.createVm();
    const before = [mock.openFds, mock.pagesInUse];
    expect(await vm.tryCreateGuest({ vcpus: 2 })).toMatchObject({ ok: false, code: 'EMFILE' });
    expect([mock.openFds, mock.pagesInUse]).toEqual(before);
  });

  test('of a VM that KVM killed says so', async () => {
    await using all = await world();
    const { vm, guest, mock } = all;
    mock.killVm(vm.fd);
    await expect(guest.read(BASE, 1)).rejects.toMatchObject({ name: 'VmDeadError' });
  });
});

describe('a guest whose registers are sealed', () => {
  const types = [
    { type: 'sev-es', platform: 'sev-snp' },
    { type: 'snp', platform: 'sev-snp' },
    { type: 'tdx', platform: 'tdx' },
  ] as const;

  test.each(types)('$type: takes no requests', async ({ type, platform }) => {
    await using watched = await openWatched({ kernel: 'inplace-v13', platform });
    const vm = await watched.host.createVm({ type });
    await expect(vm.createGuest()).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED' });
  });
});
