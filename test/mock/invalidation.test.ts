/** Between the begin and the end of an invalidation nobody can install a translation for the range. */

import { expect, test } from 'vitest';
import type { Step } from '../../lib/mock/index.ts';
import { boot, GPA, PAGE } from './machine.ts';

const FLAGS = { 'rfc-v2': 1n, 'inplace-v13': 3n } as const;

for (const kernel of ['rfc-v2', 'inplace-v13'] as const) {
  for (const step of ['unmap-stage2', 'set-shareability'] as const satisfies readonly Step[]) {
    test(`${kernel}: a guest access at ${step} must try again, elsewhere it goes on`, () => {
      const { controls, convert, guest } = boot({ kernel, flags: FLAGS[kernel] });
      const seen: unknown[] = [];
      const stop = controls.journal.listen((entry) => {
        if (entry.step !== step) return;
        seen.push(guest.read(GPA + BigInt(PAGE), 1), guest.read(GPA + BigInt(3 * PAGE), 1).ok);
      });
      expect(convert(1, 2, 'private')).toBe(0);
      stop();
      expect(seen).toEqual([{ ok: false, exit: { reason: 'retry', gpa: GPA + BigInt(PAGE) } }, true]);
      expect(guest.read(GPA + BigInt(PAGE), 1).ok).toBe(true);
    });
  }
}

test('every begin has its end, in refused conversions too', () => {
  const { controls, convert, gmem } = boot({ kernel: 'rfc-v2' });
  using _pin = controls.pin(gmem, 2 * PAGE, PAGE);
  expect(convert(1, 1, 'private')).toBe(0);
  expect(convert(0, 4, 'private')).toBe(-11);
  const steps = controls.journal.entries.map(({ step }) => step);
  expect(steps.filter((step) => step === 'invalidate-begin')).toHaveLength(3);
  expect(steps.filter((step) => step === 'invalidate-end')).toHaveLength(3);
});
