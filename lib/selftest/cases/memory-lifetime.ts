/** How long memory lives: as long as its inode, which descriptors and mappings keep, in any process. */

import { PAGE_SIZE } from '../../abi/index.ts';
import type { Mapping } from '../../kvm/index.ts';
import { MemoryUse } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { PATTERN } from '../pattern.ts';
import { checkCovered, deleteSlot } from '../region.ts';

const P = PAGE_SIZE;
const GPA = 0x1_0000_0000n;

const mappingKeeps = defineCase({
  name: 'mapping-keeps-the-file',
  about: 'A mapping keeps the file, its contents and its bindings after every descriptor is closed (vm_area_struct).',
  requires: PATTERN,
  async run(t) {
    const vm = await t.vm();
    const memory = new MemoryUse(t);
    const gmem = await t.gmem(vm, { size: 2 * P, mmap: true, initially: 'shared' });
    const mapping = await gmem.map();
    t.defer(() => mapping.close());
    await mapping.fill(0, P, 0x6b);
    await vm.setMemoryRegion({ slot: 1, guestPhysAddr: GPA, size: 2 * P, gmem });
    await gmem.close();
    t.equal(await mapping.read(0, P), new Uint8Array(P).fill(0x6b), 'what was written before the close');
    t.succeeds(await mapping.tryFill(P, P, 0x6c), 'writing after the close');
    t.equal(await mapping.read(P, P), new Uint8Array(P).fill(0x6c), 'what was written after the close');
    await checkCovered(t, vm, GPA, true, 'the slot');
    memory.grewBy(2, 'while the mapping is there');
    await mapping.close();
    memory.grewBy(0, 'when it is gone');
  },
});

const memoryGoes = defineCase({
  name: 'memory-goes-with-the-inode',
  about:
    'Memory is freed with the last descriptor and the last mapping, in whichever order they go, bound or not; who ' +
    'comes next finds zeroes (iput(), truncate_inode_pages_final()).',
  requires: PATTERN,
  async run(t) {
    const vm = await t.vm();
    const memory = new MemoryUse(t);
    for (const first of ['file', 'mapping'] as const) {
      const gmem = await t.gmem(vm, { size: 4 * P, mmap: true, initially: 'shared' });
      await vm.setMemoryRegion({ slot: 1, guestPhysAddr: GPA, size: 4 * P, gmem });
      const mapping: Mapping = await gmem.map();
      t.defer(() => mapping.close());
      t.equal(await mapping.read(0, 4 * P), new Uint8Array(4 * P), 'the new file');
      await mapping.fill(0, 4 * P, 0xa5);
      memory.grewBy(4, 'while it is open');
      await (first === 'file' ? gmem : mapping).close();
      memory.grewBy(4, `when the ${first} is closed`);
      await (first === 'file' ? mapping : gmem).close();
      memory.grewBy(0, 'when both are');
      t.succeeds(await deleteSlot(t, vm, 1), 'deleting the slot');
    }
  },
});

const secondProcess = defineCase({
  name: 'second-process-keeps-the-file',
  about: 'A second process’s mapping keeps the memory after the first has closed and unmapped everything (fork()).',
  requires: { ...PATTERN, fork: true },
  async run(t) {
    const vm = await t.vm();
    const memory = new MemoryUse(t);
    const gmem = await t.gmem(vm, { size: P, mmap: true, initially: 'shared' });
    const mapping = await gmem.map();
    t.defer(() => mapping.close());
    const { address } = mapping;
    await mapping.fill(0, P, 0x42);
    const child = t.fork();
    await mapping.close();
    await gmem.close();
    await vm.close();
    const bytes = new Uint8Array(P);
    t.equal(child.read(address, bytes), P, 'bytes the child reads');
    t.equal(bytes, new Uint8Array(P).fill(0x42), 'what the child reads');
    t.equal(child.write(address, Uint8Array.of(0x43)), 1, 'bytes the child writes');
    memory.grewBy(1, 'while the child runs');
    child.exit();
    memory.grewBy(0, 'after the child’s exit');
  },
});

export const cases: readonly AnyCase[] = [mappingKeeps, memoryGoes, secondProcess];
