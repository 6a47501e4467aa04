/** Any value in any place of any function of the addon: an error or an answer, never the end of the process. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CALL_NAMES } from '../../lib/syscalls/seam.ts';
import { addon, code, missing, type RecordFields, recordsOf } from './addon.ts';

const NO_SUCH_FD = 1_000_000;
const EBADF = -9;
const CREATE_GUEST_MEMFD = 0xc040aed4;
const ARITY = { ioctl: 3, ioctlFrame: 1, run: 3, submit: 4, race: 4 };

function detached(): Uint8Array {
  const bytes = new Uint8Array(64);
  structuredClone(bytes, { transfer: [bytes.buffer] });
  return bytes;
}

const GARBAGE: readonly (readonly [string, unknown])[] = [
  ['undefined', undefined],
  ['null', null],
  ['true', true],
  ['NaN', Number.NaN],
  ['-1', -1],
  ['1.5', 1.5],
  ['2 ** 32', 2 ** 32],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['a bigint', 5n],
  ['an empty string', ''],
  ['text', 'text'],
  ['a symbol', Symbol('garbage')],
  ['an object', {}],
  ['an object that throws', { valueOf: () => expect.unreachable() }],
  ['a proxy', new Proxy([], { get: () => expect.unreachable() })],
  ['a list of garbage', [undefined, 'text']],
  ['an ArrayBuffer', new ArrayBuffer(64)],
  ['a DataView', new DataView(new ArrayBuffer(64))],
  ['a short Uint8Array', new Uint8Array(5)],
  ['an Int16Array', new Int16Array(8)],
  ['a Float64Array that is not shared', new Float64Array(5)],
  ['a shared array that is short', new Float64Array(new SharedArrayBuffer(8))],
  ['a detached array', detached()],
];

describe.skipIf(missing !== undefined)(missing === undefined ? 'garbage' : `garbage: ${missing}`, () => {
  const valid = {
    ioctl: () => [NO_SUCH_FD, CREATE_GUEST_MEMFD, new Uint8Array(64)],
    ioctlFrame: () => [new Float64Array(new SharedArrayBuffer(32))],
    run: () => [recordsOf({ call: code('fstat'), fd: NO_SUCH_FD, buffer: 0 }), 1, [new Uint8Array(256)]],
    submit: () => [recordsOf({ call: code('close'), fd: NO_SUCH_FD, buffer: 0 }), 1, [new Uint8Array(1)], () => {}],
  } as const;

  for (const [name, args] of Object.entries(valid)) {
    const call = (given: unknown[]) =>
      (addon() as unknown as Record<string, (...args: unknown[]) => void>)[name]?.(...given);
    for (let place = 0; place < ARITY[name as keyof typeof ARITY]; place++) {
      test.each(GARBAGE)(`${name}, argument ${place + 1}: %s`, (_, garbage) => {
        const given: unknown[] = args();
        given[place] = garbage;
        expect(() => call(given)).toThrow(
          expect.toSatisfy((error) => error instanceof TypeError || error instanceof RangeError),
        );
      });
    }
    test(`${name} without arguments`, () => {
      expect(() => call([])).toThrow(TypeError);
    });
  }

  test('the valid ones among them are answered', () => {
    expect(addon().ioctl(NO_SUCH_FD, CREATE_GUEST_MEMFD, new Uint8Array(64))).toBe(EBADF);
    const records = recordsOf({ call: code('fstat'), fd: NO_SUCH_FD, buffer: 0 });
    addon().run(records, 1, [new Uint8Array(256)]);
    expect(records[0]).toBe(EBADF);
  });

  test('a frame of any numbers is refused or answered', () => {
    const frame = new Float64Array(new SharedArrayBuffer(32));
    const call = addon().ioctlFrame(frame);
    const answer = (...numbers: number[]) => {
      frame.set([...numbers, 7]);
      call();
      return frame[3];
    };
    for (const bad of [Number.NaN, -1, 1.5, 2 ** 32, Number.POSITIVE_INFINITY, -(2 ** 63)]) {
      expect(answer(bad, 0xae03, 0)).toBeNaN();
      expect(answer(NO_SUCH_FD, bad, 0)).toBeNaN();
    }
    for (const bad of [Number.NaN, -1, 1.5, 2 ** 60]) expect(answer(NO_SUCH_FD, 0xae03, bad)).toBeNaN();
    expect(answer(NO_SUCH_FD, CREATE_GUEST_MEMFD, 4096), 'a number for a struct').toBeNaN();
    expect(answer(NO_SUCH_FD, 0x3b80, 65536), 'a number for a struct that tells its size').toBeNaN();
    expect(answer(NO_SUCH_FD, 0xae03, 2 ** 53 - 1)).toBe(EBADF);
  });

  test('records of any content are refused or answered', () => {
    const calls = ['pointer', ...CALL_NAMES].map(code);
    // No fd is a real one and no length a large one, or garbage would do what it says.
    const record: fc.Arbitrary<RecordFields> = fc.record({
      call: fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...calls) }, { weight: 1, arbitrary: fc.integer() }),
      fd: fc.constantFrom(-(2 ** 31), -1, NO_SUCH_FD, 2 ** 31 - 1),
      request: fc.oneof(fc.constantFrom(0xae03, CREATE_GUEST_MEMFD, 0x3b80, 0x3b6a), fc.nat(2 ** 31)),
      flags: fc.oneof(fc.nat(7), fc.constantFrom(0x10, 0x22, 0x32, 0x100022)),
      number: fc.oneof(fc.nat(1 << 16), fc.constantFrom(Number.NaN, -1, 0.5, 2 ** 54, Number.NEGATIVE_INFINITY)),
      offset: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      length: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      buffer: fc.integer({ min: -2, max: 3 }),
      at: fc.oneof(fc.nat(64), fc.constant(2 ** 32 - 1)),
    });
    const program = fc.array(record, { minLength: 1, maxLength: 6 });
    const property = fc.property(program, (fields) => {
      const records = recordsOf(...fields);
      const buffers = [new Uint8Array(64), new Uint8Array(0), new BigUint64Array([2n ** 63n, 1n]), detached()];
      try {
        addon().run(records, fields.length, buffers);
      } catch (error) {
        expect(error).toSatisfy((thrown) => thrown instanceof TypeError || thrown instanceof RangeError);
        return;
      }
      giveBack(fields, records);
    });
    fc.assert(property, { seed: 60583808, numRuns: 3000 });
  });
});

/** Closes and unmaps what a program made. An answer stands in the first number of its record. */
function giveBack(fields: readonly RecordFields[], records: Float64Array): void {
  const makers = ['open', 'dup', 'memfdCreate', 'eventfd'].map(code);
  fields.forEach(({ call, number = 0 }, i) => {
    const answer = records[6 * i] as number;
    if (!(answer >= 0)) return;
    if (makers.includes(call)) addon().run(recordsOf({ call: code('close'), fd: answer }), 1, []);
    if (call === code('mmap')) {
      addon().run(recordsOf({ call: code('munmap'), offset: BigInt(answer), number }), 1, []);
    }
  });
}
