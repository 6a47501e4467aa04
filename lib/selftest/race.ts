/**
 * Races in cases: named racers against each other for a while, and what must hold of what they met. A case is short
 * unless GMEM_STRESS_SECONDS says how long each race runs; GMEM_STRESS_SEED repeats the choices of an earlier run.
 */

import { randomInt } from 'node:crypto';
import { type ErrnoName, errnoName, PAGE_SIZE } from '../abi/index.ts';
import { PARTLY, type RaceProgram, type RaceResult, type RaceStep } from '../syscalls/race.ts';
import { Random } from '../syscalls/random.ts';
import type { T } from './context.ts';
import { KernelLog } from './kernel-log.ts';
import { within } from './time.ts';

const SECONDS = 0.3;
/** On the mock, in the time of a short race. */
const STEPS = 240;
/** A step that has not come back that long after the end never will. */
const PATIENCE_MS = 20_000;

export interface Racer {
  readonly name: string;
  readonly program: RaceProgram;
  /** What its calls may answer besides success; 'PARTLY' for copies and mappings. */
  readonly may?: readonly (ErrnoName | 'PARTLY')[];
  /** The file that it converts: a page that blocks it lies in there. */
  readonly file?: { readonly size: bigint };
}

/** Something else that goes on meanwhile, such as guests: works until `over`, and answers a line for the report. */
export type Meanwhile = (over: () => boolean) => Promise<string>;

export class Race {
  readonly random: Random;
  readonly #t: T;
  readonly #seed: number;
  readonly #seconds: number;
  readonly #log = new KernelLog();

  constructor(t: T) {
    this.#t = t;
    this.#seed = setting('GMEM_STRESS_SEED', randomInt(2 ** 32), 0, 0xffff_ffff);
    this.#seconds = setting('GMEM_STRESS_SECONDS', SECONDS, 0, 3600);
    this.random = new Random(this.#seed);
    t.note(`seed ${this.#seed} (GMEM_STRESS_SEED), ${this.#seconds} s (GMEM_STRESS_SECONDS)`);
    if (this.#log.unreadable !== undefined) t.note(`warnings of the kernel are not seen: ${this.#log.unreadable}`);
  }

  /** Runs them and checks that no byte was lost, that nothing was refused but what may be, and that the kernel is well. */
  async run(racers: readonly Racer[], meanwhile: readonly Meanwhile[] = []): Promise<readonly RaceResult[]> {
    const limits = {
      milliseconds: Math.ceil(this.#seconds * 1000),
      steps: this.#t.host.mock ? Math.ceil((STEPS * this.#seconds) / SECONDS) : Number.MAX_SAFE_INTEGER,
      seed: this.#seed,
    };
    let over = false;
    const others = meanwhile.map((work) => work(() => over));
    const racing = this.#t.host.raw.syscalls.race(
      racers.map(({ program }) => program),
      limits,
    );
    const ending = await within(limits.milliseconds + PATIENCE_MS, racing);
    over = true;
    if (ending !== 'done') this.#t.fail('the racers come back', this.#log.stuckThreads());
    for (const line of await Promise.all(others)) this.#t.note(line);
    const results = await racing;
    if (typeof results === 'number') this.#t.fail('the race starts', [`got ${outcomeName(results)}`]);
    for (const [i, racer] of racers.entries()) this.#check(racer, results[i] as RaceResult);
    this.#t.equal(this.#log.warnings(), [], 'warnings of the kernel');
    return results;
  }

  /** What the racers wrote last is there, now that nobody races. */
  async checkMemory(results: readonly RaceResult[], what: string): Promise<void> {
    for (const { address, bytes } of results.flatMap(({ memory }) => memory)) {
      const found = new Uint8Array(bytes.length);
      const copied = await this.#t.host.raw.syscalls.copyOut(address, found);
      this.#t.equal(copied, bytes.length, `${what}: bytes the host reads`);
      this.#t.equal(found, bytes, `${what}: what the host finds`);
    }
  }

  #check({ name, program, may = [], file }: Racer, { steps, tallies, lost }: RaceResult): void {
    const counts = new Map<string, number>();
    for (const { step, outcome, word, count } of tallies) {
      const { call } = program[step] as RaceStep;
      const text = outcomeName(outcome);
      const at = word === undefined || text !== 'EAGAIN' ? '' : ` at 0x${word.toString(16)}`;
      if (at !== '' && file) this.#t.ok(isPageOf(file, word), `${name}: error_offset${at} is a page of the file`);
      const key = `${call} ${text}${at}`;
      counts.set(key, (counts.get(key) ?? 0) + count);
      if (outcome !== 0 && !(may as readonly string[]).includes(text)) {
        this.#t.fail(`${name}: what step ${step} (${call}) answers`, [`wanted ok ${may.join(' ')}`, `got    ${text}`]);
      }
    }
    this.#t.note(`${name}: ${steps} steps; ${[...counts].map(([key, count]) => `${key} ${count}`).join(', ')}`);
    if (lost) {
      const { at, wanted, found, step } = lost;
      const where = `step ${step}, byte ${at}`;
      this.#t.fail(`${name}: what it wrote is there`, [`${where}: wanted ${wanted}`, `got    ${found}`]);
    }
    this.#t.ok(steps > 0, `${name} took part`);
  }
}

const isPageOf = ({ size }: { readonly size: bigint }, offset = -1n): boolean =>
  offset >= 0n && offset < size && offset % BigInt(PAGE_SIZE) === 0n;

function outcomeName(outcome: number): string {
  if (outcome === 0) return 'ok';
  return outcome === PARTLY ? 'PARTLY' : (errnoName(outcome) ?? `errno ${outcome}`);
}

function setting(name: string, otherwise: number, min: number, max: number): number {
  const text = process.env[name];
  if (text === undefined || text === '') return otherwise;
  const value = Number(text);
  if (!(value >= min && value <= max)) throw new RangeError(`${name} must be from ${min} to ${max}; got ${text}`);
  return value;
}
