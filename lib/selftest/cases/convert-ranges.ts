/** Ranges that are converted, and files on which a conversion works or does not. */

import { type ErrnoName, PAGE_SIZE } from '../../abi/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { byDialect, CONVERTS, type IN_PLACE, RawConversion, type RawFields, STATES } from '../conversion.ts';
import { HostFile } from '../host-file.ts';

interface Part {
  readonly first: number;
  readonly count: number;
  readonly becomes: string;
}

const exactRange = defineCase<Part>({
  name: 'convert-exactly-the-range',
  about:
    'A range of whole pages is converted, up to the last byte of the file, and no page outside of it ' +
    '(RFC v2 patch 04; v13, kvm_gmem_set_attributes()).',
  requires: CONVERTS,
  variants: {
    'whole-file': { first: 0, count: 8, becomes: 'PPPPPPPP' },
    'first-page': { first: 0, count: 1, becomes: 'PSSSSSSS' },
    'last-page': { first: 7, count: 1, becomes: 'SSSSSSSP' },
    'last-pages': { first: 5, count: 3, becomes: 'SSSSSPPP' },
    'one-page-in-the-middle': { first: 3, count: 1, becomes: 'SSSPSSSS' },
    'pages-in-the-middle': { first: 2, count: 4, becomes: 'SSPPPPSS' },
  },
  async run(t, { first, count, becomes }) {
    const file = await HostFile.create(t, 'SSSSSSSS');
    const range = { offset: first * PAGE_SIZE, size: count * PAGE_SIZE };
    await new RawConversion(t, { ...range, to: 'private' }).succeeds(file.gmem, 'converting to private');
    await file.is(becomes, 'after the conversion to private');
    await new RawConversion(t, { ...range, to: 'shared' }).succeeds(file.gmem, 'converting to shared');
    await file.is('SSSSSSSS', 'after the conversion to shared');
    await file.convert('private');
    await new RawConversion(t, { ...range, to: 'shared' }).succeeds(file.gmem, 'converting out of private');
    const inverse = [...becomes].map((letter) => (letter === 'S' ? 'P' : 'S')).join('');
    await file.is(inverse, 'after the conversion out of private');
  },
});

const sparse = defineCase({
  name: 'convert-a-terabyte',
  about: 'A range may be as large as the file, and pages that were never used cost nothing (RFC v2 patch 04; v13).',
  requires: CONVERTS,
  async run(t) {
    const size = 2 ** 40;
    const gmem = await t.gmem(await t.vm(), { size, mmap: true, initially: 'shared' });
    await new RawConversion(t, { offset: 0, size, to: 'private' }).succeeds(gmem, 'converting all to private');
    const last = await gmem.map({ offset: size - 2 * PAGE_SIZE, size: 2 * PAGE_SIZE });
    t.defer(() => last.close());
    t.fails(await last.tryRead(PAGE_SIZE, 1), 'EFAULT', 'host reads the last page');
    await new RawConversion(t, { offset: size - PAGE_SIZE, size: PAGE_SIZE, to: 'shared' }).succeeds(
      gmem,
      'converting the last page to shared',
    );
    t.equal(t.succeeds(await last.tryRead(PAGE_SIZE, 1), 'host reads the last page'), Uint8Array.of(0), 'its byte');
    t.fails(await last.tryRead(0, 1), 'EFAULT', 'host reads the page before');
  },
});

const ignoredFields = defineCase<RawFields & { readonly dialect: (typeof IN_PLACE)[number] }>({
  name: 'convert-ignores-fields',
  about:
    'RFC v2 does not look at the reserved words (patch 04), attributes2 not at error_offset (v13): garbage there is ' +
    'neither refused nor written over.',
  requires: ({ dialect }) => ({ ...CONVERTS, dialect: [dialect] }),
  variants: {
    'reserved-words': { dialect: 'rfc-convert', reserved: [1n, 1n << 63n, 0xdeadn, 0xbeefn, 0xffff_ffff_ffff_ffffn] },
    'error-offset': { dialect: 'attributes2', error_offset: 0xdead_beef_0123n },
    'error-offset-all-ones': { dialect: 'attributes2', error_offset: 0xffff_ffff_ffff_ffffn },
  },
  async run(t, { dialect: _, ...fields }) {
    const file = await HostFile.create(t, 'SS');
    const range = { offset: 0, size: PAGE_SIZE };
    await new RawConversion(t, { ...range, to: 'private' }, fields).succeeds(file.gmem, 'converting to private');
    await file.is('PS', 'after the conversion to private');
    await new RawConversion(t, { ...range, to: 'shared' }, fields).succeeds(file.gmem, 'converting to shared');
    await file.is('SS', 'after the conversion to shared');
  },
});

/** Types without private memory: only attributes2 cares (kvm_arch_has_private_mem()). */
const vmTypes = defineCase<'default' | 'sev' | 'sev-es'>({
  name: 'convert-on-a-vm-without-private-memory',
  about:
    'RFC v2 converts for any VM type (patch 04 checks none); attributes2 refuses a VM type without private memory with ' +
    'EINVAL, even where nothing would change (v13, kvm_gmem_set_attributes()).',
  requires: (vmType) => ({ ...CONVERTS, vmType }),
  variants: { default: 'default', sev: 'sev', 'sev-es': 'sev-es' },
  async run(t, type) {
    const file = await HostFile.create(t, 'SS', type);
    const answer = byDialect<ErrnoName | 'done'>(t, { 'rfc-convert': 'done', attributes2: 'EINVAL' });
    for (const to of STATES) {
      const conversion = new RawConversion(t, { offset: 0, size: PAGE_SIZE, to });
      if (answer === 'done') await conversion.succeeds(file.gmem, `converting to ${to}`);
      else await conversion.isRefused(file.gmem, answer, `converting to ${to}`);
      await file.is(answer === 'done' && to === 'private' ? 'PS' : 'SS', `after converting to ${to}`);
    }
  },
});

const duplicate = defineCase({
  name: 'convert-through-a-dup',
  about:
    'The state belongs to the inode: converted through one descriptor it is so for every mapping and descriptor, also ' +
    'when the first one is closed (kvm_gmem_ioctl() looks at file_inode()).',
  requires: CONVERTS,
  async run(t) {
    const file = await HostFile.create(t, 'SSS');
    const copy = await file.gmem.dup();
    t.defer(() => copy.close());
    await new RawConversion(t, { offset: 0, size: PAGE_SIZE, to: 'private' }).succeeds(copy, 'through the dup');
    await file.is('PSS', 'after a conversion through the dup');
    await file.gmem.close();
    await new RawConversion(t, { offset: PAGE_SIZE, size: PAGE_SIZE, to: 'private' }).succeeds(copy, 'dup alone');
    await file.is('PPS', 'after the first descriptor was closed');
    const second = await copy.map();
    t.defer(() => second.close());
    t.fails(await second.tryRead(0, 1), 'EFAULT', 'a mapping made of a private range (mmap works) is read');
  },
});

const vmClosed = defineCase({
  name: 'convert-after-the-vm-fd-is-closed',
  about: 'The guest_memfd keeps its VM, so conversion goes on working once the VM fd is closed (kvm_gmem_create()).',
  requires: CONVERTS,
  async run(t) {
    const file = await HostFile.create(t, 'SP');
    await file.vm.close();
    await new RawConversion(t, { offset: 0, size: PAGE_SIZE, to: 'private' }).succeeds(file.gmem, 'to private');
    await file.is('PP', 'after the conversion to private');
    await new RawConversion(t, { offset: PAGE_SIZE, size: PAGE_SIZE, to: 'shared' }).succeeds(file.gmem, 'to shared');
    await file.is('PS', 'after the conversion to shared');
  },
});

const deadVm = defineCase({
  name: 'convert-on-a-dead-vm',
  about:
    'Conversion is a matter of the memory and not of the VM: it works although KVM has killed the VM, whose own ioctls ' +
    'answer EIO (A. Tng, 25 June 2025; v13 does not look at vm_dead).',
  requires: { ...CONVERTS, mock: true },
  async run(t) {
    const file = await HostFile.create(t, 'SP');
    t.mock.killVm(file.vm.fd);
    t.fails(await file.vm.tryCheckExtension('KVM_CAP_GUEST_MEMFD'), 'EIO', 'KVM_CHECK_EXTENSION on the dead VM');
    await new RawConversion(t, { offset: 0, size: PAGE_SIZE, to: 'private' }).succeeds(file.gmem, 'to private');
    await file.is('PP', 'after the conversion to private');
    await new RawConversion(t, { offset: 0, size: file.size, to: 'shared' }).succeeds(file.gmem, 'to shared');
    await file.is('SS', 'after the conversion to shared');
  },
});

export const cases: readonly AnyCase[] = [exactRange, sparse, ignoredFields, vmTypes, duplicate, vmClosed, deadVm];
