import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { describe, expect, test } from 'vitest';
import type { RamStep } from '../../lib/guest-ram/index.ts';
import { FakeSpace, GPA, PAGE, ramOn } from './support.ts';

const bytes = (first: number, count: number) => ({ offset: first * PAGE, size: count * PAGE });

for (const kernel of ['linux-7.3', 'rfc-v2', 'inplace-v13'] as const) {
  describe(`GuestRam on ${kernel}`, () => {
    test('gives a space what is shared, in one piece, at the address of the guest', async () => {
      await using it = await ramOn(kernel, { initially: 'shared' });
      const space = new FakeSpace();
      await it.ram.attach(space);
      expect([...space.held.values()]).toEqual([{ offset: 0n, iova: GPA, length: BigInt(16 * PAGE) }]);
    });

    test('takes a page away before it becomes private, and leaves its neighbours', async () => {
      await using it = await ramOn(kernel, { initially: 'shared' });
      const space = new FakeSpace();
      await it.ram.attach(space);
      await it.ram.convert({ ...bytes(5, 1), to: 'private' });
      expect(space.calls.slice(1)).toEqual(['unmap 0+16', 'map 0+5', 'map 6+10']);
      expect(it.ram.states().map(({ offset, state }) => [Number(offset) / PAGE, state])).toEqual([
        [0, 'shared'],
        [5, 'private'],
        [6, 'shared'],
      ]);
      expect(await it.ram.check()).toEqual([]);
    });

    test('gives what became shared, without touching what was so before', async () => {
      await using it = await ramOn(kernel);
      const space = new FakeSpace();
      await it.ram.attach(space);
      expect(space.calls).toEqual([]);
      await it.ram.convert({ ...bytes(4, 2), to: 'shared' });
      await it.ram.convert({ ...bytes(2, 6), to: 'shared' });
      expect(space.calls).toEqual(['map 4+2', 'map 2+2', 'map 6+2']);
      expect(await it.ram.check({ pages: 'all' })).toEqual([]);
    });

    test('moves a page between the spaces of the host and those the guest trusts', async () => {
      await using it = await ramOn(kernel, { initially: 'shared' });
      const [shared, trusted] = [new FakeSpace('shared'), new FakeSpace('trusted')];
      await it.ram.attach(shared);
      await it.ram.attach(trusted, { holds: 'private' });
      await it.ram.convert({ ...bytes(0, 4), to: 'private' });
      expect([shared.pages.length, trusted.pages]).toEqual([12, [0, 1, 2, 3]]);
      await it.ram.convert({ ...bytes(0, 2), to: 'shared' });
      expect([shared.pages.length, trusted.pages]).toEqual([14, [2, 3]]);
    });

    test('a space that refuses the new mapping has the conversion taken back', async () => {
      await using it = await ramOn(kernel);
      const space = new FakeSpace();
      await it.ram.attach(space);
      space.refuseIn = 1;
      const refused = await it.ram.tryConvert({ ...bytes(0, 4), to: 'shared' });
      expect(refused).toMatchObject({ ok: false, code: 'ENOMEM', error: { syscall: 'map' } });
      expect(it.ram.states()).toMatchObject([{ state: 'private', size: it.ram.size }]);
      expect(await it.ram.check()).toEqual([]);
    });

    test('what cannot be put back is told with the first error, and states and mappings tell what is so', async () => {
      await using it = await ramOn(kernel, { initially: 'shared' });
      const [first, second] = [new FakeSpace('first'), new FakeSpace('second')];
      await it.ram.attach(first);
      await it.ram.attach(second);
      second.refuseIn = 1;
      // unmap, then the restoring map is refused too
      first.refuseIn = 2;
      const refused = await it.ram.tryConvert({ ...bytes(0, 16), to: 'private' });
      expect(refused).toMatchObject({ ok: false, code: 'ENOMEM', error: { syscall: 'unmap' } });
      expect(!refused.ok && refused.error.message).toContain('not everything could be put back');
      expect(it.ram.mappedIn(first)).toEqual([]);
      expect(it.ram.mappedIn(second)).toHaveLength(1);
      expect(await it.ram.check()).toMatchObject([
        { who: 'space', found: 'first does not map it' },
        { who: 'space', found: 'first does not map it' },
      ]);
    });

    test('guest addresses of two regions reach both parts of the file', async () => {
      const regions = [
        { slot: 0, guestPhysAddr: GPA, offset: 8 * PAGE, size: 8 * PAGE },
        { slot: 1, guestPhysAddr: GPA + BigInt(8 * PAGE), offset: 0, size: 8 * PAGE },
      ];
      await using it = await ramOn(kernel, { regions });
      const space = new FakeSpace();
      await it.ram.attach(space);
      await it.ram.convertGuest({ guestPhysAddr: GPA + BigInt(7 * PAGE), size: 2 * PAGE, to: 'shared' });
      expect(space.pages).toEqual([0, 15]);
      await expect(
        it.ram.convertGuest({ guestPhysAddr: GPA + BigInt(15 * PAGE), size: 2 * PAGE, to: 'shared' }),
      ).rejects.toThrow('is in no region');
    });

    test('a hole in the middle of a piece: devices let go and get the new pages', async () => {
      await using it = await ramOn(kernel, { initially: 'shared' });
      const space = new FakeSpace();
      await it.ram.attach(space);
      await it.ram.mapping.fill(0, 16 * PAGE, 0xaa);
      await it.ram.punchHole(bytes(3, 1));
      expect(space.calls.slice(1)).toEqual(['unmap 0+16', 'map 0+3', 'map 4+12', 'map 3+1']);
      expect((await it.ram.mapping.read(3 * PAGE, 1))[0]).toBe(0);
      expect((await it.ram.mapping.read(4 * PAGE, 1))[0]).toBe(0xaa);
    });

    test('steps are told on the channel, refusals included', async () => {
      await using it = await ramOn(kernel, { initially: 'shared' });
      const space = new FakeSpace();
      await it.ram.attach(space);
      const steps: RamStep[] = [];
      const listen = (step: unknown): void => void steps.push(step as RamStep);
      subscribe('guest-memfd:ram', listen);
      try {
        await it.ram.convert({ ...bytes(0, 1), to: 'private' });
      } finally {
        unsubscribe('guest-memfd:ram', listen);
      }
      expect(steps.map(({ step }) => step)).toEqual(['unmap', 'map', 'convert']);
    });

    test('closing takes it from its spaces and leaves nothing behind', async () => {
      await using it = await ramOn(kernel, { initially: 'shared' });
      const space = new FakeSpace();
      await it.ram.attach(space);
      await it.ram.mapping.fill(0, 4 * PAGE, 1);
      await it.ram.close();
      expect(space.pages).toEqual([]);
      expect(it.mock.pagesInUse).toBe(0);
      await expect(it.ram.attach(space)).rejects.toThrow('is closed');
    });
  });
}

for (const kernel of ['rfc-v2', 'inplace-v13'] as const) {
  test(`${kernel}: a held page stops the conversion, is named, and devices have everything back`, async () => {
    await using it = await ramOn(kernel, { initially: 'shared' });
    const space = new FakeSpace();
    await it.ram.attach(space);
    const before = [...space.held.values()];
    using _pin = it.mock.pin(it.ram.gmem.fd, 5 * PAGE, PAGE);
    expect(await it.ram.tryConvert({ ...bytes(2, 8), to: 'private' })).toMatchObject({
      ok: false,
      code: 'EAGAIN',
      errorOffset: BigInt(5 * PAGE),
    });
    expect([...space.held.values()]).toEqual(before);
    expect(it.ram.states()).toMatchObject([{ state: 'shared' }]);
    await it.ram.convert({ ...bytes(6, 4), to: 'private' });
    expect(await it.ram.check({ pages: 'all' })).toEqual([]);
  });

  test(`${kernel}: an abort while it waits for the page puts everything back`, async () => {
    await using it = await ramOn(kernel, { initially: 'shared' });
    const space = new FakeSpace();
    await it.ram.attach(space);
    using _pin = it.mock.pin(it.ram.gmem.fd, 0, PAGE);
    const signal = AbortSignal.timeout(5);
    const waiting = it.ram.convert({ ...bytes(0, 2), to: 'private' }, { retry: { attempts: 1e6, delayMs: 1 }, signal });
    await expect(waiting).rejects.toMatchObject({ name: 'TimeoutError' });
    expect(space.pages).toHaveLength(16);
  });

  test(`${kernel}: the check finds who sees too much or too little`, async () => {
    await using it = await ramOn(kernel, { initially: 'shared' });
    const space = new FakeSpace();
    await it.ram.attach(space);
    await it.ram.gmem.convert({ ...bytes(0, 16), to: 'private' });
    expect(await it.ram.check()).toMatchObject([
      { who: 'host', offset: 0n, state: 'shared', found: 'cannot read it: EFAULT' },
      { who: 'host', offset: BigInt(15 * PAGE) },
    ]);
  });
}
