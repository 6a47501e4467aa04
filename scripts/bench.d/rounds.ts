/**
 * Many short slices in turn: whatever the machine does meanwhile (frequency, neighbours, memory) hits everybody alike,
 * and a ratio is taken between slices that lie milliseconds apart.
 */

/** One thing to be measured. */
export interface Contestant {
  /** Nanoseconds that `count` calls took. */
  time(count: number): Promise<number>;
  /** `count` is a multiple of this. */
  readonly unit: number;
}

export interface Pace {
  /** How long one slice should take, in milliseconds. */
  readonly slice: number;
  /** How long all rounds together may take, in milliseconds. */
  readonly budget: number;
  /** How many rounds are enough. */
  readonly rounds: number;
}

/** These are measured and forgotten: an engine that compiles as it goes needs some time. */
const WARM_UP_ROUNDS = 3;
const FEWEST_ROUNDS = 10;

/** How many calls make a slice. Runs for a few slices, which warms up what is measured. */
async function countFor(contestant: Contestant, pace: Pace): Promise<number> {
  const wanted = pace.slice * 1e6;
  let count = contestant.unit;
  let took = await undisturbed(contestant, count);
  while (took < wanted / 2) {
    count *= 2;
    took = await undisturbed(contestant, count);
  }
  return Math.max(1, Math.round((count * wanted) / took / contestant.unit)) * contestant.unit;
}

/** The shortest of three: losing the processor once must not make every slice of this contestant a tiny one. */
async function undisturbed(contestant: Contestant, count: number): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 3; i++) times.push(await contestant.time(count));
  return Math.min(...times);
}

/**
 * Nanoseconds per call, of every contestant in every round. Groups are measured one after the other within a round;
 * a different member of the group begins each time.
 */
export async function runRounds<C extends Contestant>(
  groups: readonly (readonly C[])[],
  pace: Pace,
): Promise<Map<C, number[]>> {
  const results = new Map(groups.flat().map((contestant) => [contestant, [] as number[]]));
  const counts = new Map<C, number>();
  for (const contestant of results.keys()) counts.set(contestant, await countFor(contestant, pace));
  const end = performance.now() + pace.budget;
  for (let round = -WARM_UP_ROUNDS; round < pace.rounds; round++) {
    if (round >= FEWEST_ROUNDS && performance.now() > end) break;
    for (const contestant of groups.flatMap((group) => rotated(group, round + WARM_UP_ROUNDS))) {
      const count = counts.get(contestant)!;
      const perCall = (await contestant.time(count)) / count;
      if (round >= 0) results.get(contestant)!.push(perCall);
    }
  }
  return results;
}

function rotated<T>(list: readonly T[], by: number): T[] {
  const at = list.length === 0 ? 0 : by % list.length;
  return [...list.slice(at), ...list.slice(0, at)];
}

/** a[i] / b[i]. */
export const ratios = (a: readonly number[], b: readonly number[]): number[] => a.map((value, i) => value / b[i]!);
