/** Cases with huge pages: the sizes they run with, cases of single pages once more, and the host's pools. */

import { setTimeout as delay } from 'node:timers/promises';
import type { HugePageSize } from '../abi/index.ts';
import type { HugePagePool } from '../host/index.ts';
import { type AnyCase, requirements } from './case.ts';
import type { T } from './context.ts';
import type { Requires } from './requires.ts';

/** The sizes of x86-64. */
export const HUGE_SIZES = ['2M', '1G'] as const satisfies readonly HugePageSize[];

/** A variant of each size, by its name. */
export const hugeVariants: Readonly<Record<string, HugePageSize>> = Object.fromEntries(
  HUGE_SIZES.map((size) => [size, size]),
);

/** What a case with variants of each size needs, besides what else it needs. */
export const needsHuge =
  (others: Requires = {}) =>
  (hugePageSize: HugePageSize): Requires => ({ ...others, hugePageSize });

/** The same cases with a huge page wherever they have a page: `name_2M`, `name_1G`. */
export const withHugePages = (cases: readonly AnyCase[]): AnyCase[] =>
  HUGE_SIZES.flatMap((hugePageSize) =>
    cases.map((definition) => ({
      ...definition,
      name: `${definition.name}_${hugePageSize}`,
      about: `${definition.about} Each page a huge one of ${hugePageSize}.`,
      requires: (variant: unknown) => ({ ...requirements(definition, variant), hugePageSize }),
    })),
  );

export async function poolOf(t: T, size: HugePageSize): Promise<HugePagePool> {
  const pool = (await t.host.hugePagePools()).find((one) => one.size === size);
  return pool ?? t.skip(`needs a pool of huge pages of ${size} (CONFIG_HUGETLBFS), of which the kernel has none`);
}

type Counts = Partial<Omit<HugePagePool, 'size'>>;

/** How a pool differs from what it was. A kernel gives split huge pages back a moment later, so there it is asked again. */
export class PoolWatch {
  readonly #t: T;
  readonly #before: HugePagePool;

  private constructor(t: T, before: HugePagePool) {
    this.#t = t;
    this.#before = before;
  }

  static async start(t: T, size: HugePageSize): Promise<PoolWatch> {
    return new PoolWatch(t, await poolOf(t, size));
  }

  get before(): HugePagePool {
    return this.#before;
  }

  /** The counters that are named have changed by so much since the start, and the others not at all. */
  async changedBy(by: Counts, what: string): Promise<void> {
    const want = { ...this.#before };
    for (const [name, count] of Object.entries(by)) want[name as keyof Counts] += count;
    let found = await poolOf(this.#t, this.#before.size);
    for (let tries = this.#t.host.mock ? 0 : 40; tries > 0 && !same(found, want); tries -= 1) {
      await delay(50);
      found = await poolOf(this.#t, this.#before.size);
    }
    this.#t.equal(found, want, `the pool ${what}`);
  }
}

const same = (a: HugePagePool, b: HugePagePool): boolean => JSON.stringify(a) === JSON.stringify(b);
