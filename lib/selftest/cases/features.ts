/** Every kind of file on every VM type: guest_memfd_test, test_with_type and test_guest_memfd_features. */

import { GUEST_MEMFD_FLAG_INIT_SHARED, GUEST_MEMFD_FLAG_MMAP, PAGE_SIZE } from '../../abi/index.ts';
import type { GuestMemfd, Vm, VmType } from '../../kvm/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { createFlags } from '../facts.ts';
import { vmTypeVariants } from '../vm-types.ts';

const PAGES = 4;
const SIZE = PAGES * PAGE_SIZE;

interface Kind {
  readonly mmap: boolean;
  readonly initially: 'private' | 'shared';
}

const KINDS: readonly Kind[] = [
  { mmap: false, initially: 'private' },
  { mmap: true, initially: 'private' },
  { mmap: true, initially: 'shared' },
];

/** Whether this VM can have such a file. */
function exists(t: T, { type }: Vm, { mmap, initially }: Kind): boolean {
  const flags = createFlags(t.features, type);
  if (!mmap) return true;
  // One flag of the RFC is both; the others have a bit for each.
  return initially === 'private' || t.features.dialect === 'rfc-convert'
    ? flags !== 0n
    : flags === (GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED);
}

/** The file is not harmed by anything else, so each step finds it as the one before left it. */
async function checkFile(t: T, gmem: GuestMemfd, { mmap, initially }: Kind, what: string): Promise<void> {
  t.equal((await gmem.stat()).size, BigInt(SIZE), `${what}: st_size`);
  t.succeeds(await gmem.tryAllocate({ offset: 0, size: SIZE }), `${what}: allocating`);
  t.fails(await gmem.tryAllocate({ offset: SIZE, size: PAGE_SIZE }), 'EINVAL', `${what}: allocating past the end`);
  const mapped = await gmem.tryMap();
  if (!mmap) {
    t.fails(mapped, 'ENODEV', `${what}: mapping`);
  } else {
    const mapping = t.succeeds(mapped, `${what}: mapping`);
    t.defer(() => mapping.close());
    const zeroes = new Uint8Array(SIZE);
    const written = await mapping.tryFill(0, SIZE, 0xaa);
    if (initially === 'private') t.fails(written, 'EFAULT', `${what}: writing`);
    else
      t.equal(t.succeeds(await mapping.tryRead(0, SIZE), what), zeroes.slice().fill(0xaa), `${what}: what was written`);
    t.succeeds(await gmem.tryPunchHole({ offset: PAGE_SIZE, size: SIZE }), `${what}: punching`);
    const read = await mapping.tryRead(PAGE_SIZE, SIZE - PAGE_SIZE);
    if (initially === 'private') t.fails(read, 'EFAULT', `${what}: reading the hole`);
    else t.equal(t.succeeds(read, what), zeroes.subarray(PAGE_SIZE), `${what}: the hole`);
  }
  t.succeeds(await gmem.tryPunchHole({ offset: 0, size: 2 * SIZE }), `${what}: punching all of it and more`);
}

const features = defineCase<VmType>({
  name: 'guest_memfd_features',
  about:
    'What a file can do follows from how it was created and not from the VM’s type: mapping, touching, allocating and ' +
    'punching (guest_memfd_test, test_guest_memfd_features).',
  requires: (vmType) => ({ vmType }),
  variants: vmTypeVariants,
  async run(t) {
    const vm = await t.vm();
    for (const kind of KINDS.filter((kind) => exists(t, vm, kind))) {
      const what = `${kind.mmap ? 'mapped' : 'unmapped'}, ${kind.initially} at first`;
      await checkFile(t, await t.gmem(vm, { size: SIZE, ...kind }), kind, what);
    }
  },
});

export const cases: readonly AnyCase[] = [features];
