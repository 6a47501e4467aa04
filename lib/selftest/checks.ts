/**
 * The checks a case makes. The first that fails ends the case; each is counted, since a case that checks nothing
 * must not pass.
 */

import { isDeepStrictEqual } from 'node:util';
import { type ErrnoName, errnoText, errno as numbers } from '../abi/index.ts';
import { CheckError, type Problem } from './outcome.ts';
import { located } from './problem.ts';
import { bytesDifference, show } from './show.ts';

/** A call that may have been refused: `Result` of the typed API, or what `raw.tryIoctl` answers. */
export interface Refused {
  readonly ok: false;
  readonly code: ErrnoName;
  readonly errno: number;
  readonly errorOffset?: bigint;
  readonly error?: Error;
}
export type Attempt = { readonly ok: true } | Refused;
type Success<A extends Attempt> = Extract<A, { ok: true }>;
type ValueOf<A extends Attempt> = Success<A> extends { readonly value: infer V } ? V : Success<A>;

export class Checks {
  readonly #problems: Problem[] = [];
  #count = 0;

  /** Checks made so far. */
  get checks(): number {
    return this.#count;
  }

  /** Failed checks; more than one where the case caught the first. */
  get problems(): readonly Problem[] {
    return this.#problems;
  }

  ok(condition: unknown, what: string): void {
    this.#count += 1;
    if (!condition) this.#fail(what, [`wanted something true, got ${show(condition)}`]);
  }

  /** Deeply equal; for bytes the first difference is shown. A number never equals a bigint. */
  equal<V>(got: V, want: V, what: string): void {
    this.#count += 1;
    if (got instanceof Uint8Array && want instanceof Uint8Array) {
      const difference = bytesDifference(got, want);
      if (difference) this.#fail(what, difference);
    } else if (!isDeepStrictEqual(got, want)) {
      this.#fail(what, [`wanted ${show(want)}`, `got    ${show(got)}`]);
    }
  }

  notEqual<V>(got: V, other: V, what: string): void {
    this.#count += 1;
    if (isDeepStrictEqual(got, other)) this.#fail(what, [`wanted anything but ${show(other)}`]);
  }

  /** The call was not refused. Answers its value (`Result`), or the whole outcome where there is none (`raw`). */
  succeeds<A extends Attempt>(attempt: A, what: string): ValueOf<A> {
    this.#count += 1;
    if (!attempt.ok) this.#fail(what, ['wanted success', `got    ${showRefusal(attempt)}`, ...details(attempt)]);
    return ('value' in attempt ? attempt.value : attempt) as ValueOf<A>;
  }

  /** The kernel refused with this errno, or one of these. Answers the refusal, for a look at its details. */
  fails<A extends Attempt>(
    attempt: A,
    code: ErrnoName | readonly ErrnoName[],
    what: string,
  ): Extract<A, { ok: false }> {
    this.#count += 1;
    const codes = typeof code === 'string' ? [code] : code;
    const wanted = `wanted ${codes.map((name) => `${name} (${errnoText(numbers[name])})`).join(' or ')}`;
    if (attempt.ok) this.#fail(what, [wanted, `got    success: ${show('value' in attempt ? attempt.value : attempt)}`]);
    if (!codes.includes(attempt.code)) {
      this.#fail(what, [wanted, `got    ${showRefusal(attempt)}`, ...details(attempt)]);
    }
    return attempt as Extract<A, { ok: false }>;
  }

  /** The call was wrong use: it throws, or rejects, an error with this code or this name. */
  async throws(call: () => unknown, code: string, what: string): Promise<void> {
    this.#count += 1;
    let got: unknown;
    try {
      got = await call();
    } catch (error) {
      const { code: codeGot, name } = error as { code?: unknown; name?: unknown };
      if (codeGot === code || name === code) return;
      this.#fail(what, [`wanted an error ${code}`, `got    ${String(codeGot ?? name)}: ${String(error)}`]);
    }
    this.#fail(what, [`wanted an error ${code}`, `got    no error: ${show(got)}`]);
  }

  /** Ends the case as failed. */
  fail(what: string, lines: readonly string[] = []): never {
    this.#count += 1;
    return this.#fail(what, lines);
  }

  #fail(what: string, lines: readonly string[]): never {
    const error = new CheckError({ what, lines });
    const problem = located(error.problem, error.stack);
    this.#problems.push(problem);
    throw new CheckError(problem);
  }
}

function showRefusal({ code, errno }: Refused): string {
  return `${code} (${errnoText(errno)})`;
}

function details({ error, errorOffset }: Refused): string[] {
  return [
    ...(error ? [error.message] : []),
    ...(errorOffset === undefined ? [] : [`error_offset ${show(errorOffset)}`]),
  ];
}
