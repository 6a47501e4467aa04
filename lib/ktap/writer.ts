/**
 * A writer of KTAP, the kernel's Test Anything Protocol: version line, plan, results, diagnostics, nesting, totals.
 * It only writes: one call of `write` for a line, at once, so that a reader sees a result when it is there.
 *
 * Rules: Documentation/dev-tools/ktap.rst. Each level is numbered by itself and indented by two spaces.
 */

import { diagnosticLines, nameText, reasonText } from './text.ts';
import { addTotals, noTotals, type Totals, totalsText } from './totals.ts';

/** How a test ended. `timeout` and `error` are failures that say so. */
export type Outcome = 'pass' | 'fail' | 'skip' | 'xfail' | 'xpass' | 'timeout' | 'error';

const FORMS: Record<Outcome, { readonly ok: boolean; readonly directive?: string; readonly count: keyof Totals }> = {
  pass: { ok: true, count: 'pass' },
  fail: { ok: false, count: 'fail' },
  skip: { ok: true, directive: 'SKIP', count: 'skip' },
  xfail: { ok: true, directive: 'XFAIL', count: 'xfail' },
  // No directive for this one: parsers fall back to "not ok".
  xpass: { ok: false, count: 'xpass' },
  timeout: { ok: false, directive: 'TIMEOUT', count: 'fail' },
  error: { ok: false, directive: 'ERROR', count: 'error' },
};

export interface KtapOptions {
  /** False where a parent has written the version line: kselftest's runner says so with KSFT_TAP_LEVEL. */
  readonly header?: boolean;
}

export class KtapWriter {
  readonly #write: (line: string) => void;
  #finish: ((totals: Totals) => void) | undefined;
  #planned: number | undefined;
  #done = 0;
  #totals = noTotals;
  #child: KtapWriter | undefined;
  #ended = false;

  /** `write` gets one line with its line break. */
  constructor(write: (line: string) => void, options: KtapOptions = {}) {
    this.#write = write;
    if (options.header !== false) write('KTAP version 1\n');
  }

  /** What has been counted so far: tests of nested groups one by one, a group without any as one. */
  get totals(): Totals {
    return this.#totals;
  }

  /** How many results follow on this level. Once, and before the first of them. */
  plan(count: number): void {
    if (this.#planned !== undefined) throw new Error('a KTAP level has one plan');
    this.#planned = count;
    this.#line(`1..${count}`);
  }

  /** In place of a plan: nothing here can run, and why. */
  skipAll(reason: string): void {
    if (this.#planned !== undefined) throw new Error('a KTAP level has one plan');
    this.#planned = 0;
    this.#ended = true;
    this.#line(`1..0 # SKIP ${reasonText(reason)}`.trimEnd());
  }

  /** Diagnostics, one line for each line of the text. They belong to the next result. */
  diagnostic(text: string): void {
    for (const line of diagnosticLines(text)) this.#line(line);
  }

  /** The next result. */
  result(name: string, outcome: Outcome = 'pass', reason = ''): void {
    this.#close(name, outcome, reason);
    this.#totals = addTotals(this.#totals, { ...noTotals, [FORMS[outcome].count]: 1 });
  }

  /** The next result is a group of `count` tests; its `end()` writes the result. */
  group(name: string, count: number): KtapWriter {
    this.#checkOpen();
    const child = new KtapWriter((line) => this.#write(`  ${line}`));
    child.plan(count);
    child.#finish = (totals) => {
      this.#child = undefined;
      this.#close(name, ...groupOutcome(totals));
      this.#totals = addTotals(this.#totals, totals);
    };
    this.#child = child;
    return child;
  }

  /** Closes this level with its totals. A plan that was not kept is a failure, as for kselftest. */
  end(): Totals {
    this.#checkOpen();
    if (this.#planned !== this.#done) {
      this.diagnostic(`Planned tests != run tests (${this.#planned ?? 0} != ${this.#done})`);
      this.#totals = addTotals(this.#totals, { ...noTotals, error: 1 });
    }
    this.diagnostic(totalsText(this.#totals));
    this.#ended = true;
    this.#finish?.(this.#totals);
    return this.#totals;
  }

  #close(name: string, outcome: Outcome, reason: string): void {
    this.#checkOpen();
    if (this.#planned === undefined) throw new Error('the plan comes before the first result');
    this.#done += 1;
    const { ok, directive } = FORMS[outcome];
    const data = [directive, reasonText(reason)].filter(Boolean).join(' ');
    this.#line(`${ok ? 'ok' : 'not ok'} ${this.#done} ${nameText(name)}${data && ` # ${data}`}`);
  }

  #checkOpen(): void {
    if (this.#ended) throw new Error('this KTAP level has ended');
    if (this.#child) throw new Error('a nested KTAP group is still open');
  }

  #line(text: string): void {
    this.#write(`${text}\n`);
  }
}

/** A group fails with any of its tests and is skipped when all of them are. */
function groupOutcome(totals: Totals): [Outcome, string] {
  const bad = totals.fail + totals.xpass + totals.error;
  if (bad > 0) return ['fail', ''];
  if (totals.pass + totals.xfail > 0) return ['pass', ''];
  return ['skip', 'nothing in it could run'];
}
