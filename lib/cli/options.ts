/** The options of a command as data: what node:util's parseArgs needs, the help text, and the checks, from one table. */

import { parseArgs } from 'node:util';

export interface Option {
  readonly short?: string;
  /** What stands for the value in the help text; a switch has none. */
  readonly value?: string;
  /** The values there are; others are refused. */
  readonly words?: readonly string[];
  /** May be given more than once. */
  readonly many?: true;
  readonly help: string;
}

export type Options = Readonly<Record<string, Option>>;

type ValueOf<O extends Option> = O extends { readonly words: readonly (infer W)[] } ? W : string;
export type Given<S extends Options> = {
  readonly [K in keyof S]?: S[K] extends { readonly value: string }
    ? S[K] extends { readonly many: true }
      ? ValueOf<S[K]>[]
      : ValueOf<S[K]>
    : boolean;
};

/** A command line that cannot be meant. The command says so on stderr and ends with 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** @throws UsageError for options, values or words that there are not. */
export function parseOptions<const S extends Options>(argv: readonly string[], options: S): Given<S> {
  const config = Object.entries(options).map(([name, { short, value, many = false }]) => [
    name,
    { type: value ? 'string' : 'boolean', multiple: many, ...(short ? { short } : {}) },
  ]);
  let values: Record<string, unknown>;
  try {
    ({ values } = parseArgs({ args: [...argv], options: Object.fromEntries(config), strict: true }));
  } catch (error) {
    // What Node says after its first sentence is about file names, which no command here takes.
    throw new UsageError((error as Error).message.split(/\. |\n/)[0]);
  }
  for (const [name, value] of Object.entries(values)) checkWords(name, options[name]!, value);
  return values as Given<S>;
}

function checkWords(name: string, { words }: Option, value: unknown): void {
  const wrong = words && [value].flat().find((word) => !words.includes(word as string));
  if (wrong !== undefined) throw new UsageError(`unknown ${name} '${wrong}'; there is ${words!.join(', ')}`);
}

/** One line for each option, or two. */
export function optionsHelp(options: Options): string {
  return Object.entries(options)
    .map(([name, { short, value, help, words, many }]) => {
      const left = `  ${short ? `-${short}, ` : '    '}--${name}${value ? ` ${value}` : ''}`;
      const more = [...(words ? [words.join(', ')] : []), ...(many ? ['repeatable'] : [])].join('; ');
      return [
        left.padEnd(28) + (left.length < 28 ? '' : `\n${' '.repeat(28)}`) + help,
        more && `${' '.repeat(28)}(${more})`,
      ]
        .filter(Boolean)
        .join('\n');
    })
    .join('\n');
}
