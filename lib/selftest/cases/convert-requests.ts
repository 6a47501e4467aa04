/** Which request numbers a file answers, and with what it refuses the others. */

import {
  KVM_GMEM_CONVERT_PRIVATE,
  KVM_GMEM_CONVERT_SHARED,
  KVM_SET_MEMORY_ATTRIBUTES2,
  PAGE_SIZE,
  requestSize,
  type StructIoctl,
} from '../../abi/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { CONVERTS, RawConversion, STATES } from '../conversion.ts';
import { HostFile } from '../host-file.ts';
import type { Requires } from '../requires.ts';

const ANY_FILE: Requires = { capability: 'KVM_CAP_GUEST_MEMFD' };

const CONVERSIONS = { KVM_GMEM_CONVERT_SHARED, KVM_GMEM_CONVERT_PRIVATE, KVM_SET_MEMORY_ATTRIBUTES2 } as const;

/** A struct for which a kernel that knew the request would have something to do. */
const wish = (ioctl: StructIoctl): Uint8Array => {
  const attributes = ioctl === KVM_SET_MEMORY_ATTRIBUTES2 ? { attributes: 8n } : {};
  return ioctl.struct.encode({ offset: 0, size: PAGE_SIZE, ...attributes });
};

async function gmemFile(t: T): Promise<number> {
  const vm = await t.vm();
  return (await t.gmem(vm, { size: PAGE_SIZE })).fd;
}

const otherDialects = defineCase<keyof typeof CONVERSIONS>({
  name: 'convert-requests-of-another-dialect',
  about:
    'A guest_memfd answers ENOTTY to the conversion requests that its kernel lacks, whatever the argument ' +
    '(kvm_gmem_ioctl(); without it, vfs_ioctl()).',
  requires: ANY_FILE,
  variants: Object.fromEntries(Object.keys(CONVERSIONS).map((name) => [name, name as keyof typeof CONVERSIONS])),
  async run(t, name) {
    const ioctl = CONVERSIONS[name];
    if (ioctl.dialect === t.features.dialect) t.skip(`${name} is this kernel's own request`);
    const gmem = await gmemFile(t);
    const bytes = wish(ioctl);
    const before = bytes.slice();
    t.fails(await t.host.raw.tryIoctl(gmem, ioctl.request, bytes), 'ENOTTY', `${name} with a sound struct`);
    t.fails(await t.host.raw.tryIoctl(gmem, ioctl.request, bytes.fill(0xa5)), 'ENOTTY', `${name} with garbage`);
    t.equal(bytes, before.fill(0xa5), 'the struct');
    t.fails(await t.host.raw.tryIoctl(gmem, ioctl.request, 0), 'ENOTTY', `${name} with a null pointer`);
  },
});

const SIZE_SHIFT = 16;
const DIRECTION_SHIFT = 30;

/** The same type and number, declared with another size, or another direction. */
function relatives(request: number): number[] {
  const size = requestSize(request);
  const plain = (request & 0xffff) >>> 0;
  const encode = (direction: number, bytes: number) =>
    (((direction << DIRECTION_SHIFT) | (bytes << SIZE_SHIFT)) >>> 0) + plain;
  const sizes = [0, 8, size / 2, size - 8, size - 1, size + 1, size + 8, size * 2].map((bytes) => encode(3, bytes));
  return [...sizes, encode(0, size), encode(1, size), encode(2, size), encode(0, 0)];
}

const relativesAreUnknown = defineCase<keyof typeof CONVERSIONS>({
  name: 'convert-requests-of-another-size-or-direction',
  about:
    'The whole request number is compared, so the right number with another size or direction is ENOTTY ' +
    '(the switch in kvm_gmem_ioctl()).',
  requires: ANY_FILE,
  variants: Object.fromEntries(Object.keys(CONVERSIONS).map((name) => [name, name as keyof typeof CONVERSIONS])),
  async run(t, name) {
    const gmem = await gmemFile(t);
    for (const request of relatives(CONVERSIONS[name].request)) {
      const bytes = new Uint8Array(requestSize(request)).fill(0xa5);
      const arg = bytes.length > 0 ? bytes : 0;
      t.fails(await t.host.raw.tryIoctl(gmem, request, arg), 'ENOTTY', `request 0x${request.toString(16)}`);
    }
  },
});

const closedFile = defineCase({
  name: 'convert-on-a-closed-guest_memfd',
  about: 'Once its fd is closed a conversion is EBADF, though a mapping keeps the file (fdget()); the state stays.',
  requires: CONVERTS,
  async run(t) {
    const file = await HostFile.create(t, 'SP');
    const { fd } = file.gmem;
    await file.gmem.close();
    for (const to of STATES) {
      await new RawConversion(t, { offset: 0, size: file.size, to }).isRefused(fd, 'EBADF', `converting to ${to}`);
    }
    await file.is('SP', 'afterwards');
  },
});

export const cases: readonly AnyCase[] = [otherDialects, relativesAreUnknown, closedFile];
