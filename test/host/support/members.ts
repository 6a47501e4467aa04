/** What a class lets its users call, taken from its prototypes: a new method is in no test's list by hand. */

import { inspect } from 'node:util';

export interface Members {
  readonly methods: readonly string[];
  readonly accessors: readonly string[];
}

/** Protected members, which TypeScript keeps from users and JavaScript does not. */
const INTERNAL = new Set(['constructor', 'create', 'systemFd', 'learn', 'ask']);

export function membersOf(start: object): Members {
  const methods = new Set<string>();
  const accessors = new Set<string>();
  for (let prototype = start; prototype !== Object.prototype; prototype = Object.getPrototypeOf(prototype)) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      if (!INTERNAL.has(name)) (typeof value === 'function' ? methods : accessors).add(name);
    }
  }
  return { methods: [...methods].sort(), accessors: [...accessors].sort() };
}

/** The well-known symbols an object answers to. */
export const symbolsOf = (value: object) => ({
  disposes: Symbol.asyncDispose in value,
  inspects: inspect.custom in value,
});
