import { expect, it } from 'vitest';
import { stepsText } from '../../lib/selftest/steps-text.ts';

const step = { step: 'truncate', target: 'guest_memfd 1', start: 10, end: 31 } as const;

it('a step is a line, in pages', () => {
  expect(stepsText([{ ...step, reason: 'truncate' }])).toBe(
    'steps:\n  truncate          guest_memfd 1  0xa to 0x1f  truncate',
  );
  expect(stepsText([{ ...step, end: Infinity, detail: 'more' }])).toBe(
    'steps:\n  truncate          guest_memfd 1  0xa to the end  more',
  );
});

it('none is said, and so is why there are none', () => {
  expect(stepsText([])).toBe('steps: none');
  expect(stepsText('the buffer overflowed')).toBe('steps: the buffer overflowed');
});

it('many are cut short', () => {
  const lines = stepsText(new Array(1000).fill(step)).split('\n');
  expect(lines).toHaveLength(202);
  expect(lines.at(-1)).toBe('  and 800 more');
});
