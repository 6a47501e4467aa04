/** Makes a sequence that shows a difference as short and as plain as it can be while it still shows one. */

import type { Sequence, Step } from './run.ts';

type Shows = (sequence: Sequence) => boolean;

export function shrink(sequence: Sequence, shows: Shows): Sequence {
  let best = sequence;
  for (let size = -1; size !== sizeOf(best); ) {
    size = sizeOf(best);
    best = withFewerSteps(unwatched(best, shows), shows);
    best = withPlainerChoices(best, shows);
  }
  return best;
}

/** Falls with every step that goes and every choice that becomes plainer. */
const sizeOf = ({ steps }: Sequence): number => steps.reduce((sum, { choice }) => sum + 1e6 + weigh(choice), 0);

function weigh(value: unknown): number {
  if (typeof value === 'number') return Math.min(Math.abs(value), 1e3);
  if (typeof value === 'bigint') return Math.min(value.toString(16).length, 1e2);
  if (typeof value === 'string') return value === PLAIN_SHAPE ? 0 : 1;
  if (typeof value === 'object' && value !== null)
    return Object.values(value).reduce((sum, part) => sum + weigh(part), 0);
  return value === true ? 1 : 0;
}

/** Of a RangeChoice. */
const PLAIN_SHAPE = 'inside';

function unwatched(sequence: Sequence, shows: Shows): Sequence {
  const plain = { ...sequence, watched: false };
  return sequence.watched && shows(plain) ? plain : sequence;
}

/** Leaves out runs of steps: half of them, a quarter, ... one, and last every pair. */
function withFewerSteps(sequence: Sequence, shows: Shows): Sequence {
  let best = sequence;
  for (let length = Math.ceil(best.steps.length / 2); length >= 1; length = length === 1 ? 0 : Math.ceil(length / 2)) {
    for (let at = best.steps.length - length; at >= 0; at--) {
      const fewer = { ...best, steps: best.steps.filter((_, i) => i < at || i >= at + length) };
      if (fewer.steps.length === best.steps.length || !shows(fewer)) continue;
      best = fewer;
      at = Math.min(at, best.steps.length - length + 1);
    }
  }
  return withoutPairs(best, shows);
}

/** Two steps that only matter together, such as a dup and its close. */
function withoutPairs(sequence: Sequence, shows: Shows): Sequence {
  const { length } = sequence.steps;
  if (length > 24) return sequence;
  for (let one = 0; one < length; one++) {
    for (let other = one + 1; other < length; other++) {
      const fewer = { ...sequence, steps: sequence.steps.filter((_, i) => i !== one && i !== other) };
      if (shows(fewer)) return withoutPairs(fewer, shows);
    }
  }
  return sequence;
}

function withPlainerChoices(sequence: Sequence, shows: Shows): Sequence {
  let best = sequence;
  for (let i = 0; i < best.steps.length; i++) {
    for (let better = true; better; ) {
      better = false;
      for (const choice of plainer(best.steps[i]!.choice)) {
        const changed = { ...best, steps: replaced(best.steps, i, choice) };
        if (!shows(changed)) continue;
        best = changed;
        better = true;
        break;
      }
    }
  }
  return best;
}

const replaced = (steps: readonly Step[], at: number, choice: unknown): Step[] =>
  steps.map((step, i) => (i === at ? { ...step, choice } : step));

/** Plainer choices: one of its parts is nearer to nothing. */
function* plainer(value: unknown): Generator<unknown> {
  if (typeof value === 'number') yield* smaller(value);
  else if (typeof value === 'bigint') for (const plain of [0n, 1n, 4096n]) if (plain < value) yield plain;
  if (value === true) yield false;
  if (typeof value !== 'object' || value === null) return;
  for (const [name, part] of Object.entries(value)) {
    for (const plain of plainer(part)) yield { ...value, [name]: plain };
    if (name === 'shape' && part !== PLAIN_SHAPE) yield { ...value, [name]: PLAIN_SHAPE };
    if (name.startsWith('odd') && part !== undefined && typeof part === 'bigint') yield { ...value, [name]: undefined };
  }
}

function* smaller(value: number): Generator<number> {
  const steps = new Set([0, 1, Math.floor(value / 2), value - 1]);
  for (const step of steps) if (step >= 0 && step < value) yield step;
}
