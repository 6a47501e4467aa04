/** What a conversion is refused for, row by row: RFC v2 patch 04/51, and kvm_gmem_set_attributes() of v13. */

import { type ErrnoName, PAGE_SIZE } from '../../abi/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import {
  byDialect,
  CONVERTS,
  IN_PLACE,
  type InPlaceDialect,
  RawConversion,
  type RawFields,
  STATES,
} from '../conversion.ts';
import { HostFile } from '../host-file.ts';
import type { Requires } from '../requires.ts';

type Range = readonly [offset: bigint, size: bigint];

interface Row {
  /** Ranges that all get the same answer. */
  readonly ranges: readonly Range[];
  readonly fields?: RawFields;
  /** What is not EINVAL: 'done' is success without any effect. */
  readonly answers?: Partial<Record<InPlaceDialect, ErrnoName | 'done'>>;
  /** The dialects that have the rule; both by default. */
  readonly dialects?: readonly InPlaceDialect[];
}

/** Page 0 is shared and page 1 private: in either direction one is to be converted and one needs nothing. */
const LAYOUT = 'SPSS';
const PAGE = BigInt(PAGE_SIZE);
const END = BigInt(LAYOUT.length) * PAGE;
const TOP = 1n << 63n;

const one = (offset: bigint, size = PAGE): Pick<Row, 'ranges'> => ({ ranges: [[offset, size]] });
/** Valid ranges: to be converted in part, and (in one direction each) not at all, which would be a success. */
const VALID: Pick<Row, 'ranges'> = {
  ranges: [
    [0n, 2n * PAGE],
    [0n, PAGE],
    [PAGE, PAGE],
  ],
};
const rfc = (error_offset: bigint, ranges = VALID): Row => ({
  ...ranges,
  fields: { error_offset },
  dialects: ['rfc-convert'],
});
const attributes2 = (fields: RawFields): Row => ({ ...VALID, fields, dialects: ['attributes2'] });
const DONE = { answers: { 'rfc-convert': 'done' } } as const;

const rows: Readonly<Record<string, Row>> = {
  'size-0': { ...one(0n, 0n), ...DONE },
  'size-0-before-alignment': { ...one(1n, 0n), ...DONE },
  'size-0-before-end-of-file': { ...one(END + PAGE, 0n), ...DONE },
  'size-0-at-the-last-byte': { ...one(2n * TOP - 1n, 0n), ...DONE },
  'error-offset-a-page': rfc(PAGE),
  'error-offset-1': rfc(1n),
  'error-offset-bit-63': rfc(TOP),
  'error-offset-before-size-0': rfc(PAGE, one(0n, 0n)),
  'misaligned-offset-1': one(1n),
  'misaligned-offset-512': one(512n),
  'misaligned-offset-4095': one(PAGE - 1n),
  'misaligned-size-1': one(0n, 1n),
  'misaligned-size-512': one(0n, PAGE + 512n),
  'misaligned-size-4095': one(0n, PAGE - 1n),
  'misaligned-both': one(512n, PAGE - 512n),
  'starts-at-end-of-file': one(END),
  'starts-after-end-of-file': one(END + PAGE),
  'ends-a-page-after-end-of-file': one(END - PAGE, 2n * PAGE),
  'whole-file-and-a-page': one(0n, END + PAGE),
  'offset-bit-63': one(TOP),
  'size-bit-63': one(0n, TOP),
  'wraps-to-0': one(2n * TOP - PAGE),
  'wraps-into-the-file': one(2n * PAGE, 2n * TOP - PAGE),
  'wraps-misaligned': one(PAGE, 2n * TOP - 1n),
  'flags-bit-0': attributes2({ flags: 1n }),
  'flags-bit-1': attributes2({ flags: 2n }),
  'flags-bit-63': attributes2({ flags: TOP }),
  'attributes-1': attributes2({ attributes: 1n }),
  'attributes-4': attributes2({ attributes: 4n }),
  'attributes-private-and-1': attributes2({ attributes: 9n }),
  'attributes-16': attributes2({ attributes: 16n }),
  'attributes-bit-63': attributes2({ attributes: TOP }),
  ...reservedWords(11),
};

function reservedWords(count: number): Record<string, Row> {
  const words = Array.from({ length: count }, (_, word) => {
    const reserved = new Array<bigint>(word).fill(0n).concat(word % 2 === 0 ? 1n : TOP);
    return [`reserved-word-${word}`, attributes2({ reserved })] as const;
  });
  return Object.fromEntries(words);
}

/**
 * attributes2 gets a mark in error_offset: it must be neither read nor written. In the RFC's struct the reserved words,
 * at which nobody looks there, take its place.
 */
function marked(t: T, fields: RawFields = {}): RawFields {
  return byDialect<RawFields>(t, {
    'rfc-convert': { reserved: [0x1111n, 0x2222n, 0x3333n, 0x4444n, 0x5555n], ...fields },
    attributes2: { error_offset: 0x5555_6666_7777n, ...fields },
  });
}

async function checkRow(t: T, row: Row, file: HostFile, after: () => unknown): Promise<void> {
  const answer = byDialect(t, { 'rfc-convert': undefined, attributes2: undefined, ...row.answers }) ?? 'EINVAL';
  for (const to of STATES) {
    for (const [offset, size] of row.ranges) {
      const what = `converting 0x${size.toString(16)} bytes at 0x${offset.toString(16)} to ${to}`;
      const conversion = new RawConversion(t, { offset, size, to }, marked(t, row.fields));
      if (answer === 'done') await conversion.succeeds(file.gmem, what);
      else await conversion.isRefused(file.gmem, answer, what);
      await after();
    }
  }
}

const requires = ({ dialects = IN_PLACE }: Row): Requires => ({ ...CONVERTS, dialect: dialects });

const validation = defineCase<Row>({
  name: 'convert-validation',
  about:
    'Values that make no sense are refused in the order of kvm_gmem_ioctl() (RFC v2 patch 04) and of ' +
    'kvm_gmem_set_attributes() (v13), in both directions: the struct reads as before and nothing is converted.',
  requires,
  variants: rows,
  async run(t, row) {
    const file = await HostFile.create(t, LAYOUT);
    await checkRow(t, row, file, () => file.is(LAYOUT, 'afterwards'));
  },
});

const validationFirst = defineCase<Row>({
  name: 'convert-validation-comes-first',
  about:
    'They are refused before memory is allocated, page references are looked at or anything is unmapped ' +
    '(RFC v2 patch 04; v13, kvm_gmem_set_attributes()).',
  requires: (row) => ({ ...requires(row), pins: true, faults: true, journal: true }),
  variants: rows,
  async run(t, row) {
    const file = await HostFile.create(t, LAYOUT);
    t.pin(file.gmem, 0, PAGE_SIZE);
    t.mock.faults.reset();
    t.mock.faults.failAllocation(1);
    await checkRow(t, row, file, () => {
      t.equal(t.mock.faults.allocations, 0, 'allocations made');
      t.equal(t.mock.journal.entries, [], 'steps taken');
    });
  },
});

export const cases: readonly AnyCase[] = [validation, validationFirst];
