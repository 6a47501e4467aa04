/** A run as KTAP: a group for each host, with what it is in front, and what explains a result before it. */

import { KtapWriter } from '../ktap/index.ts';
import { type GroupSpec, specName } from './groups.ts';
import type { CaseResult, Problem } from './outcome.ts';
import { DEFAULT_PROGRAM, type GroupInfo, type Reporter, rerunCommand, titleOf } from './reporter.ts';
import { stepsText } from './steps-text.ts';

export class KtapReporter implements Reporter {
  readonly #ktap: KtapWriter;
  readonly #program: string;
  #open: { readonly group: GroupInfo; readonly ktap: KtapWriter } | undefined;

  /** `header` as in KtapOptions: false under a runner that has written it. */
  constructor(write: (line: string) => void, header: boolean, program: string = DEFAULT_PROGRAM) {
    this.#program = program;
    this.#ktap = new KtapWriter(write, { header });
  }

  begin(groups: number): void {
    this.#ktap.plan(groups);
  }

  nothing(reason: string): void {
    this.#ktap.skipAll(reason);
  }

  absent(spec: GroupSpec, reason: string): void {
    this.#ktap.result(specName(spec), spec.required ? 'error' : 'skip', reason);
  }

  groupBegin(group: GroupInfo, cases: number): void {
    const ktap = this.#ktap.group(group.name, cases);
    this.#open = { group, ktap };
    ktap.diagnostic(`${group.name}: ${group.description} (${group.why})`);
    ktap.diagnostic(`kernel ${group.release}, platform ${group.platform}, VM types ${group.vmTypes.join(', ')}`);
    ktap.diagnostic(`conversion dialect ${group.dialect}: ${group.dialectReason}`);
    if (group.steps !== undefined) ktap.diagnostic(`steps inside calls: ${group.steps}`);
  }

  result(result: CaseResult): void {
    const { group, ktap } = this.#open!;
    for (const note of result.notes) ktap.diagnostic(note);
    if (result.steps !== undefined) ktap.diagnostic(stepsText(result.steps));
    for (const problem of result.problems) ktap.diagnostic(problemText(problem));
    if (result.outcome === 'fail' || result.outcome === 'timeout') {
      ktap.diagnostic(`what it tests: ${result.about}`);
      ktap.diagnostic(`to run it alone: ${rerunCommand(this.#program, group, result)}`);
    }
    ktap.result(titleOf(result), result.outcome, result.reason);
  }

  groupEnd(): void {
    this.#open!.ktap.end();
  }

  end(): void {
    this.#ktap.end();
  }
}

export function problemText({ what, lines, at }: Problem): string {
  return [what, ...[...lines, ...(at === undefined ? [] : [`at ${at}`])].map((line) => `  ${line}`)].join('\n');
}
