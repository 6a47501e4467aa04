/** The command line. */

import { parseArgs } from 'node:util';
import { type FamilyName, familyNames } from './families.ts';

export const usage = `usage: scripts/differential [--steps N] [--seed N] [--differences N] [--family NAME] [--backend native|ffi]

Makes the same generated calls on this machine's kernel and on the mock that claims to be it, until they differ.
  --steps N        how many calls; 20000 by default
  --seed N         repeats a run; by default another each time
  --differences N  goes on until it has found so many; 1 by default
  --family NAME    what the calls are about: kvm, iommufd, type1, or cdev; kvm by default. Given several times, so many
                   calls are made of each
  --backend NAME   how the kernel is called; native by default
Exit status: 0 no difference, 1 a difference or an answer that never came, 2 wrong usage, 4 no kernel to compare with.
`;

export interface Options {
  readonly help: boolean;
  readonly steps: number;
  readonly seed: number;
  readonly differences: number;
  readonly families: readonly FamilyName[];
  readonly backend: 'native' | 'ffi';
}

/** @throws Error for what it does not know */
export function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      steps: { type: 'string', default: '20000' },
      seed: { type: 'string' },
      differences: { type: 'string', default: '1' },
      family: { type: 'string', multiple: true, default: ['kvm'] },
      backend: { type: 'string', default: 'native' },
    },
  });
  const { backend } = values;
  if (backend !== 'native' && backend !== 'ffi') throw new Error(`--backend must be native or ffi, not '${backend}'`);
  return {
    help: values.help,
    steps: wholeNumber('--steps', values.steps),
    seed: values.seed === undefined ? newSeed() : wholeNumber('--seed', values.seed),
    differences: wholeNumber('--differences', values.differences),
    families: values.family.map(familyNamed),
    backend,
  };
}

function familyNamed(text: string): FamilyName {
  const family = familyNames.find((name) => name === text);
  if (!family) throw new Error(`--family must be one of ${familyNames.join(', ')}, not '${text}'`);
  return family;
}

const newSeed = (): number => Math.floor(Math.random() * 0x7fff_0000);

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new Error(`${name} must be a whole number, not '${text}'`);
  return value;
}
