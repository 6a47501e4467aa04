/**
 * A run as JSON lines, for programs: one object a line, written when it is known, each with a `type`:
 *
 * * `plan`: groups (how many follow), or reason where nothing can run;
 * * `group`: one host, or the reason why there is none;
 * * `case`: one result, with the name of its group and the command that runs it again;
 * * `totals`: the counters and the exit code; the last line.
 */

import type { Totals } from '../ktap/index.ts';
import { type GroupSpec, specName } from './groups.ts';
import type { CaseResult } from './outcome.ts';
import { DEFAULT_PROGRAM, type GroupInfo, type Reporter, rerunCommand } from './reporter.ts';

export class JsonReporter implements Reporter {
  readonly #write: (line: string) => void;
  readonly #program: string;
  #group: GroupInfo | undefined;

  constructor(write: (line: string) => void, program: string = DEFAULT_PROGRAM) {
    this.#program = program;
    this.#write = write;
  }

  begin(groups: number): void {
    this.#line({ type: 'plan', groups });
  }

  nothing(reason: string): void {
    this.#line({ type: 'plan', groups: 0, reason });
  }

  absent(spec: GroupSpec, reason: string): void {
    this.#line({ type: 'group', name: specName(spec), outcome: spec.required ? 'error' : 'skip', reason });
  }

  groupBegin(group: GroupInfo, cases: number): void {
    this.#group = group;
    const { spec, ...rest } = group;
    this.#line({ type: 'group', ...rest, cases });
  }

  result(result: CaseResult): void {
    const group = this.#group!;
    this.#line({ type: 'case', group: group.name, ...result, again: rerunCommand(this.#program, group, result) });
  }

  groupEnd(): void {}

  end(totals: Totals, exitCode: number): void {
    this.#line({ type: 'totals', ...totals, exitCode });
  }

  #line(record: object): void {
    this.#write(`${JSON.stringify(record)}\n`);
  }
}
