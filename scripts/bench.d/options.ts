/** The command line. */

import { parseArgs } from 'node:util';
import { type OperationName, operationNames } from './operations.ts';
import type { Pace } from './rounds.ts';

export const MOCK = 'mock';

export interface Options {
  readonly help: boolean;
  readonly json: boolean;
  readonly check: boolean;
  readonly operations: readonly OperationName[];
  readonly mock: boolean;
  readonly pace: { readonly kernel: Pace; readonly mock: Pace };
}

// A slice ends before a busy machine's scheduler would give the processor to somebody else.
const FULL = {
  kernel: { slice: 1.5, budget: 28_000, rounds: 400 },
  mock: { slice: 3, budget: 12_000, rounds: 400 },
};
const QUICK = {
  kernel: { slice: 1, budget: 3_000, rounds: 60 },
  mock: { slice: 2, budget: 1_500, rounds: 60 },
};

const NAMES = [...operationNames, MOCK];

export const usage = `usage: scripts/bench [--json] [--quick] [--only NAME]... [--check]

Measures what a call costs by several callers and in C, in turns, and how many conversions a second the mock makes.

  --json       one JSON document instead of tables
  --quick      fewer and shorter slices: seconds instead of most of a minute
  --only NAME  this part alone; may be given several times: ${NAMES.join(', ')}
  --check      exit code 1 when a target that was measured is not met
`;

/** @throws Error with a message for the user */
export function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      check: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
      only: { type: 'string', multiple: true, default: NAMES },
    },
  });
  const { only, json, check, help } = values;
  const unknown = only.find((name) => !NAMES.includes(name));
  if (unknown !== undefined) throw new Error(`--only ${unknown}: there is ${NAMES.join(', ')}`);
  return {
    help,
    json,
    check,
    operations: operationNames.filter((name) => only.includes(name)),
    mock: only.includes(MOCK),
    pace: values.quick ? QUICK : FULL,
  };
}
