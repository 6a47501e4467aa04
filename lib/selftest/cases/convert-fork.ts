/** A process that inherits the mapping: it sees conversions too, since the state belongs to the file. */

import { errno, PAGE_SIZE } from '../../abi/index.ts';
import type { Mapping } from '../../kvm/index.ts';
import type { ForkedProcess } from '../../mock/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { CONVERTS } from '../conversion.ts';
import { HostFile } from '../host-file.ts';

const REQUIRES = { ...CONVERTS, fork: true } as const;

/** The child as one who touches pages of the mapping. */
class Child {
  readonly #t: T;
  readonly #process: ForkedProcess;
  /** Where the mapping is in the child, also when the parent has none any more. */
  readonly #start: bigint;

  constructor(t: T, mapping: Mapping) {
    this.#t = t;
    this.#process = t.fork();
    this.#start = mapping.address;
  }

  #address(page: number): bigint {
    return this.#start + BigInt(page * PAGE_SIZE);
  }

  uses(page: number, expected: number, stores = expected): void {
    const byte = new Uint8Array(1);
    this.#t.equal(this.#process.read(this.#address(page), byte), 1, `child reads page ${page}`);
    this.#t.equal(byte[0], expected, `what the child finds on page ${page}`);
    this.#t.equal(this.#process.write(this.#address(page), Uint8Array.of(stores)), 1, `child writes page ${page}`);
  }

  isRefused(page: number): void {
    const { EFAULT } = errno;
    this.#t.equal(this.#process.read(this.#address(page), new Uint8Array(1)), -EFAULT, `child reads page ${page}`);
    this.#t.equal(this.#process.write(this.#address(page), Uint8Array.of(9)), -EFAULT, `child writes page ${page}`);
  }
}

const losesAccess = defineCase({
  name: 'convert-takes-memory-from-every-process',
  about:
    'A page mapped in two processes is no obstacle, and private it is for both: the child gets SIGBUS on the page and ' +
    'on no other, and finds the contents when it is shared again (unmap_mapping_pages(); v13 forked_accesses).',
  requires: REQUIRES,
  async run(t) {
    const file = await HostFile.create(t, 'SSS');
    const child = new Child(t, file.mapping);
    for (let page = 0; page < 3; page += 1) child.uses(page, 0x10 + page);
    await file.convert('private', 1, 1);
    child.isRefused(1);
    child.uses(0, 0x10);
    child.uses(2, 0x12, 0x52);
    file.forget(2);
    t.equal(await file.mapping.read(2 * PAGE_SIZE, 1), Uint8Array.of(0x52), 'what the parent finds on page 2');
    await file.is('SPS', 'for the parent');
    await file.convert('shared', 1, 1);
    if (file.vm.type === 'sw-protected') child.uses(1, 0x11);
    await file.is('SSS', 'for the parent, afterwards');
  },
});

const untouched = defineCase({
  name: 'convert-before-the-child-touches',
  about: 'A child whose page tables were empty at the conversion meets the state at its first access (RFC v2; v13).',
  requires: REQUIRES,
  async run(t) {
    const gmem = await t.gmem(await t.vm(), { size: 2 * PAGE_SIZE, mmap: true, initially: 'shared' });
    const mapping = await gmem.map();
    t.defer(() => mapping.close());
    const child = new Child(t, mapping);
    await gmem.convert({ offset: 0, size: PAGE_SIZE, to: 'private' });
    child.isRefused(0);
    child.uses(1, 0, 7);
    t.equal(await mapping.read(PAGE_SIZE, 1), Uint8Array.of(7), 'what the parent finds');
    const later = new Child(t, mapping);
    later.isRefused(0);
    later.uses(1, 7);
  },
});

const refusal = defineCase({
  name: 'convert-refused-leaves-the-child-its-memory',
  about: 'After EAGAIN the child goes on with every page: what was unmapped faults back in (RFC v2; v13).',
  requires: { ...REQUIRES, pins: true },
  async run(t) {
    const file = await HostFile.create(t, 'SSS');
    const child = new Child(t, file.mapping);
    for (let page = 0; page < 3; page += 1) child.uses(page, 0x10 + page);
    t.pin(file.gmem, 2 * PAGE_SIZE, PAGE_SIZE);
    const range = { offset: 0, size: 3 * PAGE_SIZE, to: 'private' as const };
    t.fails(await file.gmem.tryConvert(range), 'EAGAIN', 'converting with a pin');
    for (let page = 0; page < 3; page += 1) child.uses(page, 0x10 + page);
    await file.is('SSS', 'for the parent');
    await file.convert('private', 0, 2);
    for (const page of [0, 1]) child.isRefused(page);
    child.uses(2, 0x12);
  },
});

const parentGone = defineCase({
  name: 'convert-with-the-mapping-in-a-child-alone',
  about: 'The mapping that is left in another process is unmapped too, though the converter has none (RFC v2; v13).',
  requires: REQUIRES,
  async run(t) {
    const file = await HostFile.create(t, 'SS');
    const child = new Child(t, file.mapping);
    for (const page of [0, 1]) child.uses(page, 0x10 + page);
    await file.mapping.close();
    await file.convert('private', 0, 1);
    child.isRefused(0);
    child.uses(1, 0x11);
    await file.convert('private');
    for (const page of [0, 1]) child.isRefused(page);
  },
});

export const cases: readonly AnyCase[] = [losesAccess, untouched, refusal, parentGone];
