/** Real transfers by a device, in the five ways to give it an address space. */

import { PAGE_SIZE } from '../../abi/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { edu, IOVA, memory, PAGE, pattern } from '../dma.ts';
import { type DmaSpace, dmaSpace, MODES, type Mode, modeRequires, outcome } from '../dma-modes.ts';

const requires = (mode: Mode) => modeRequires(mode, 'edu');
/** Less than the 4 KiB that the device has. */
const BYTES = 1000;

async function spaceWithMemory(t: T, mode: Mode) {
  const space = await dmaSpace(t, mode);
  const mapping = await memory(t, 4);
  await mapping.fill(0, 4 * PAGE_SIZE, 0xaa);
  return { space, mapping, device: edu(space.device) };
}

const bothWays = defineCase<Mode>({
  name: 'vfio-dma-both-ways',
  about: 'A device reads what this process wrote and writes what this process reads, over the border of two pages.',
  requires,
  variants: MODES,
  async run(t, mode) {
    const { space, mapping, device } = await spaceWithMemory(t, mode);
    t.succeeds(await space.map({ address: mapping, iova: IOVA }), 'mapping');
    const bytes = pattern(BYTES, 3);
    await mapping.write(PAGE_SIZE - 500, bytes);
    await device.dmaFromRam(IOVA + PAGE - 500n, BYTES);
    const at = 3 * PAGE_SIZE - 300;
    await device.dmaToRam(IOVA + BigInt(at), BYTES);
    t.equal(await mapping.read(at, BYTES), bytes, 'what the device wrote');
    t.equal(await mapping.read(at - 8, 8), new Uint8Array(8).fill(0xaa), 'what is before');
    t.equal(await mapping.read(at + BYTES, 8), new Uint8Array(8).fill(0xaa), 'what is behind');
  },
});

/** Has the device write what it has read; whether it arrived. */
async function arrives(
  space: DmaSpace,
  iova: bigint,
  read: () => Promise<Uint8Array>,
  bytes: Uint8Array,
): Promise<boolean> {
  await edu(space.device).dmaToRam(iova, bytes.byteLength);
  return Buffer.from(await read()).equals(bytes);
}

const unmapped = defineCase<Mode>({
  name: 'vfio-dma-after-unmap',
  about: 'What is unmapped the device neither reads nor writes: each attempt is a fault that the kernel logs.',
  requires,
  variants: MODES,
  async run(t, mode) {
    const { space, mapping, device } = await spaceWithMemory(t, mode);
    t.succeeds(await space.map({ address: mapping, iova: IOVA, length: 2n * PAGE }), 'mapping two pages');
    t.succeeds(
      await space.map({ address: mapping, offset: 2 * PAGE_SIZE, iova: IOVA + 2n * PAGE }),
      'mapping two more',
    );
    const bytes = pattern(64, 5);
    await mapping.write(0, bytes);
    await device.dmaFromRam(IOVA, 64);
    const third = () => mapping.read(2 * PAGE_SIZE, 64);
    t.ok(await arrives(space, IOVA + 2n * PAGE, third, bytes), 'whether the device writes what is mapped');
    await mapping.fill(2 * PAGE_SIZE, 64, 0);
    t.equal(outcome(await space.unmap({ iova: IOVA + 2n * PAGE, length: 2n * PAGE })), 2n * PAGE, 'unmapping');
    t.ok(!(await arrives(space, IOVA + 2n * PAGE, third, bytes)), 'whether it does after that');
    t.equal(await third(), new Uint8Array(64), 'the memory');
    const first = () => mapping.read(PAGE_SIZE, 64);
    t.ok(await arrives(space, IOVA + PAGE, first, bytes), 'whether it still writes what is left');
  },
});

const oneWay = defineCase<{ mode: Mode; readable: boolean }>({
  name: 'vfio-dma-one-way',
  about:
    'Memory mapped for reading only is not written to; VT-d also keeps a device from reading what is for writing only.',
  requires: ({ mode }) => requires(mode),
  variants: Object.fromEntries(
    Object.values(MODES).flatMap((mode) => [
      [`${mode}-read`, { mode, readable: true }],
      [`${mode}-write`, { mode, readable: false }],
    ]),
  ),
  async run(t, { mode, readable }) {
    const { space, mapping, device } = await spaceWithMemory(t, mode);
    t.succeeds(await space.map({ address: mapping, length: PAGE, iova: IOVA }), 'mapping a page for both');
    const piece = {
      address: mapping,
      offset: PAGE_SIZE,
      length: PAGE,
      iova: 2n * IOVA,
      readable,
      writeable: !readable,
    };
    t.succeeds(await space.map(piece), 'mapping a page for one');
    const [known, other] = [pattern(64, 9), pattern(64, 11)];
    await mapping.write(0, known);
    await mapping.write(PAGE_SIZE, other);
    await device.dmaFromRam(IOVA, 64);
    if (readable) {
      await device.dmaToRam(2n * IOVA, 64);
      t.equal(await mapping.read(PAGE_SIZE, 64), other, 'the memory that the device may not write to');
      await device.dmaFromRam(2n * IOVA, 64);
      await device.dmaToRam(IOVA, 64);
      t.equal(await mapping.read(0, 64), other, 'what it read there');
      return;
    }
    await device.dmaToRam(2n * IOVA, 64);
    t.equal(await mapping.read(PAGE_SIZE, 64), known, 'the memory that the device may write to');
    await mapping.write(PAGE_SIZE, other);
    await device.dmaFromRam(2n * IOVA, 64);
    await device.dmaToRam(IOVA, 64);
    t.notEqual(
      Buffer.from(await mapping.read(0, 64)).toString('hex'),
      Buffer.from(other).toString('hex'),
      'what it read there',
    );
  },
});

const guestMemory = defineCase<Mode>({
  name: 'vfio-dma-guest-memory',
  about: 'A device and the host see the same shared guest memory, mapped for the device by its address.',
  requires: (mode) => ({ ...requires(mode), flags: ['init-shared'] }),
  variants: MODES,
  async run(t, mode) {
    const { space, device } = await spaceWithMemory(t, mode);
    const gmem = await t.gmem(await t.vm(), { size: 2 * PAGE_SIZE, mmap: true, initially: 'shared' });
    const mapping = await t.map(gmem);
    t.succeeds(await space.map({ address: mapping, iova: IOVA }), 'mapping');
    const bytes = pattern(BYTES, 13);
    await mapping.write(0, bytes);
    await device.dmaFromRam(IOVA, BYTES);
    await device.dmaToRam(IOVA + PAGE, BYTES);
    t.equal(await mapping.read(PAGE_SIZE, BYTES), bytes, 'what the device wrote');
  },
});

const hole = defineCase<Mode>({
  name: 'vfio-dma-under-a-hole',
  about:
    'Nothing tells the device of a hole: it keeps the old page, and the host sees a new one, until it is mapped anew ' +
    '(guest_memfd has no invalidation for the IOMMU in 7.3).',
  requires: (mode) => ({ ...requires(mode), flags: ['init-shared'], profile: ['linux-7.3'] }),
  variants: MODES,
  async run(t, mode) {
    const { space, device } = await spaceWithMemory(t, mode);
    const gmem = await t.gmem(await t.vm(), { size: 2 * PAGE_SIZE, mmap: true, initially: 'shared' });
    const mapping = await t.map(gmem);
    const [old, fresh] = [pattern(64, 17), pattern(64, 19)];
    await mapping.write(0, old);
    await mapping.write(PAGE_SIZE, new Uint8Array(64));
    t.succeeds(await space.map({ address: mapping, iova: IOVA }), 'mapping');
    t.succeeds(await gmem.tryPunchHole({ offset: 0, size: PAGE_SIZE }), 'punching a hole under it');
    t.equal(await mapping.read(0, 64), new Uint8Array(64), 'what the host sees then');
    await mapping.write(0, fresh);
    await device.dmaFromRam(IOVA, 64);
    await device.dmaToRam(IOVA + PAGE, 64);
    t.equal(await mapping.read(PAGE_SIZE, 64), old, 'what the device sees');
    t.succeeds(await space.unmapAll(), 'unmapping');
    t.succeeds(await space.map({ address: mapping, iova: IOVA }), 'mapping anew');
    await device.dmaFromRam(IOVA, 64);
    await device.dmaToRam(IOVA + PAGE, 64);
    t.equal(await mapping.read(PAGE_SIZE, 64), fresh, 'what the device sees when it is mapped anew');
  },
});

const detached = defineCase({
  name: 'vfio-dma-after-detach',
  about: 'A device that is detached reaches nothing; attached to another address space it sees that one.',
  requires: requires('iommufd'),
  async run(t) {
    const file = await t.host.iommufd();
    t.defer(() => file.close());
    const [one, two] = [await file.allocIoas(), await file.allocIoas()];
    const mapping = await memory(t, 3);
    await one.map({ address: mapping, length: 2n * PAGE, iova: IOVA });
    await two.map({ address: mapping, offset: 2 * PAGE_SIZE, length: PAGE, iova: IOVA });
    const { address } = t.features.vfioDevices[0]!;
    const device = await t.host.vfio.openDevice(address, { iommufd: file });
    t.defer(() => device.close());
    const engine = edu(device);
    await device.attach(one);
    const bytes = pattern(64, 23);
    await mapping.write(0, bytes);
    await engine.dmaFromRam(IOVA, 64);
    t.succeeds(await device.tryDetach(), 'detaching');
    t.succeeds(await device.tryDetach(), 'detaching again');
    await engine.dmaToRam(IOVA + PAGE, 64);
    t.equal(await mapping.read(PAGE_SIZE, 64), new Uint8Array(64), 'the memory after a transfer while detached');
    t.succeeds(await device.tryAttach(two), 'attaching to another');
    await engine.dmaToRam(IOVA, 64);
    t.equal(await mapping.read(2 * PAGE_SIZE, 64), bytes, 'the other’s memory');
    t.equal(await mapping.read(0, 64), bytes, 'the first one’s memory');
    t.succeeds(await device.tryAttach(one), 'changing over in one step');
    await engine.dmaToRam(IOVA + PAGE, 64);
    t.equal(await mapping.read(PAGE_SIZE, 64), bytes, 'the first one’s memory');
  },
});

const interrupt = defineCase<Mode>({
  name: 'vfio-interrupt',
  about:
    'An interrupt of the device, raised by itself or by us, is counted by its eventfd, and by none once it is off.',
  requires,
  variants: { type1v2: 'type1v2', iommufd: 'iommufd' },
  async run(t, mode) {
    const { device: engine, space } = await spaceWithMemory(t, mode);
    await space.device.setBusMaster(true);
    const irq = await space.device.irq('msi');
    await irq.trigger();
    t.equal(await irq.wait(), 1n, 'interrupts after we triggered one');
    t.equal(await irq.wait(0, { timeoutMs: 0 }), 0n, 'interrupts after that');
    await engine.raiseIrq();
    t.equal(await irq.wait(), 1n, 'interrupts after the device raised one');
    await engine.acknowledgeIrq();
    await irq.close();
    const again = await space.device.irq('msi');
    t.equal(await again.wait(0, { timeoutMs: 10 }), 0n, 'interrupts of one that was turned on anew');
    await again.close();
  },
});

export const cases: readonly AnyCase[] = [bothWays, unmapped, oneWay, guestMemory, hole, detached, interrupt];
