/** EAGAIN: a page that somebody holds cannot become private. */

import { PAGE_SIZE } from '../../abi/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { byDialect, CONVERTS, RawConversion } from '../conversion.ts';
import { HostFile } from '../host-file.ts';

const PINS = { ...CONVERTS, pins: true } as const;
const range = (first: number, count: number) => ({ offset: first * PAGE_SIZE, size: count * PAGE_SIZE });

interface Held {
  /** Pages that are pinned. */
  readonly pinned: readonly number[];
  readonly first: number;
  readonly count: number;
  /** The page that is named; none: the conversion goes through. */
  readonly names?: number;
}

const errorOffset = defineCase<Held>({
  name: 'convert-error-offset',
  about:
    'EAGAIN names the first referenced page of the range, in file order and from the start of the file; pins outside ' +
    'of the range do not count (RFC v2 patch 04; v13, kvm_gmem_set_attributes()).',
  requires: PINS,
  variants: {
    'first-page': { pinned: [0], first: 0, count: 8, names: 0 },
    'middle-page': { pinned: [3], first: 0, count: 8, names: 3 },
    'last-page': { pinned: [7], first: 0, count: 8, names: 7 },
    'first-of-several': { pinned: [6, 2, 4], first: 0, count: 8, names: 2 },
    'range-starts-after-a-pin': { pinned: [1, 5], first: 2, count: 6, names: 5 },
    'range-starts-at-the-pin': { pinned: [1, 5], first: 5, count: 3, names: 5 },
    'range-ends-at-the-pin': { pinned: [4], first: 1, count: 4, names: 4 },
    'range-between-pins': { pinned: [1, 5], first: 2, count: 3 },
    'range-before-the-pin': { pinned: [4], first: 0, count: 4 },
    'single-page': { pinned: [6], first: 6, count: 1, names: 6 },
  },
  async run(t, { pinned, first, count, names }) {
    const file = await HostFile.create(t, 'SSSSSSSS');
    const pins = pinned.map((page) => t.pin(file.gmem, page * PAGE_SIZE, PAGE_SIZE));
    const conversion = new RawConversion(t, { ...range(first, count), to: 'private' });
    const done = 'S'.repeat(first) + 'P'.repeat(count) + 'S'.repeat(8 - first - count);
    if (names !== undefined) {
      await conversion.isBlocked(file.gmem, names * PAGE_SIZE, 'converting with pins');
      await file.is('SSSSSSSS', 'after EAGAIN');
      for (const pin of pins) pin.release();
      conversion.reset();
    }
    await conversion.succeeds(file.gmem, 'converting without a pin in the range');
    await file.is(done, 'after success');
  },
});

const overwritten = defineCase({
  name: 'convert-error-offset-is-overwritten',
  about:
    'attributes2 does not read error_offset and overwrites what is there, so page 0 is told from "not written" ' +
    '(v13, kvm_gmem_set_attributes()).',
  requires: { ...PINS, dialect: ['attributes2'] },
  async run(t) {
    const file = await HostFile.create(t, 'SSS');
    t.pin(file.gmem, 0, PAGE_SIZE);
    const fields = { error_offset: 0x5555_5555_5000n };
    const conversion = new RawConversion(t, { ...range(0, 3), to: 'private' }, fields);
    await conversion.isBlocked(file.gmem, 0, 'converting with page 0 pinned');
    const another = new RawConversion(t, { ...range(1, 2), to: 'private' }, fields);
    await another.succeeds(file.gmem, 'converting the pages that are free');
    await file.is('SPP', 'afterwards');
  },
});

const sameStruct = defineCase<number>({
  name: 'convert-again-with-the-same-struct',
  about:
    'After EAGAIN the struct as the kernel left it is EINVAL in RFC v2, which wants error_offset 0 on entry (patch 04), ' +
    'unless page 0 was named; attributes2 takes it as it is (v13).',
  requires: PINS,
  variants: { 'page-0': 0, 'page-2': 2 },
  async run(t, page) {
    const file = await HostFile.create(t, 'SSSS');
    const pin = t.pin(file.gmem, page * PAGE_SIZE, PAGE_SIZE);
    const conversion = new RawConversion(t, { ...range(0, 4), to: 'private' });
    await conversion.isBlocked(file.gmem, page * PAGE_SIZE, 'converting with a pin');
    pin.release();
    if (page !== 0 && byDialect(t, { 'rfc-convert': true, attributes2: false })) {
      t.fails(await conversion.send(file.gmem), 'EINVAL', 'the struct as it was left');
      t.equal(conversion.errorOffset, BigInt(page * PAGE_SIZE), 'error_offset after EINVAL');
      await file.is('SSSS', 'after EINVAL');
      conversion.reset();
    }
    t.succeeds(await conversion.send(file.gmem), 'the struct again');
    await file.is('PPPP', 'after success');
  },
});

const everyReference = defineCase({
  name: 'convert-needs-every-reference-dropped',
  about: 'A page held twice stays blocked until both references are gone (folio_ref_count() is compared exactly).',
  requires: PINS,
  async run(t) {
    const file = await HostFile.create(t, 'SS');
    const pins = [t.pin(file.gmem, 0, 2 * PAGE_SIZE), t.pin(file.gmem, PAGE_SIZE, PAGE_SIZE)];
    const conversion = new RawConversion(t, { ...range(0, 2), to: 'private' });
    await conversion.isBlocked(file.gmem, 0, 'with both pins');
    pins[0]!.release();
    conversion.reset();
    await conversion.isBlocked(file.gmem, PAGE_SIZE, 'with one pin');
    pins[1]!.release();
    conversion.reset();
    await conversion.succeeds(file.gmem, 'without pins');
    await file.is('PP', 'afterwards');
  },
});

const truncated = defineCase({
  name: 'convert-after-truncating-a-pinned-page',
  about:
    'A hole punched under a pin detaches the page, which lives on with the pinner alone: what comes in its place is ' +
    'free to be converted (kvm_gmem_punch_hole() looks at no reference).',
  requires: PINS,
  async run(t) {
    const file = await HostFile.create(t, 'SSS');
    const pin = t.pin(file.gmem, PAGE_SIZE, PAGE_SIZE);
    const before = pin.read();
    await file.gmem.punchHole({ offset: PAGE_SIZE, size: PAGE_SIZE });
    file.forget(1);
    t.equal((await file.mapping.read(PAGE_SIZE, 1))[0], 0, 'the host reads the hole');
    await file.mapping.fill(PAGE_SIZE, PAGE_SIZE, 0x77);
    t.equal(pin.read(), before, 'what the pinner sees');
    await new RawConversion(t, { ...range(0, 3), to: 'private' }).succeeds(file.gmem, 'converting to private');
    await file.is('PPP', 'after the conversion');
    t.equal(pin.read(), before, 'what the pinner sees after the conversion');
  },
});

const mapped = defineCase({
  name: 'convert-mapped-memory',
  about:
    'Mappings do not block: they are unmapped first, however many there are (unmap_mapping_pages() before the ' +
    'reference check in RFC v2 patch 04 and v13).',
  requires: CONVERTS,
  async run(t) {
    const file = await HostFile.create(t, 'SSSS');
    const second = await file.gmem.map();
    t.defer(() => second.close());
    const part = await file.gmem.map({ offset: 2 * PAGE_SIZE, size: PAGE_SIZE });
    t.defer(() => part.close());
    t.equal((await second.read(2 * PAGE_SIZE, 1))[0], 0x12, 'page 2 through the second mapping');
    t.equal((await part.read(0, 1))[0], 0x12, 'page 2 through the third mapping');
    await file.convert('private', 1, 2);
    await file.is('SPPS', 'through the first mapping');
    t.fails(await second.tryRead(2 * PAGE_SIZE, 1), 'EFAULT', 'page 2 through the second mapping');
    t.fails(await second.tryWrite(PAGE_SIZE, Uint8Array.of(1)), 'EFAULT', 'page 1 through the second mapping');
    t.fails(await part.tryRead(0, 1), 'EFAULT', 'page 2 through the third mapping');
    t.equal((await second.read(3 * PAGE_SIZE, 1))[0], 0x13, 'page 3 through the second mapping');
    await file.convert('shared', 1, 2);
    await file.is('SSSS', 'through the first mapping');
    t.succeeds(await part.tryRead(0, 1), 'page 2 through the third mapping');
  },
});

export const cases: readonly AnyCase[] = [errorOffset, overwritten, sameStruct, everyReference, truncated, mapped];
