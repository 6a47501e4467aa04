/** What a case leaves to be undone: run in reverse order, always, and each step even when another failed. */

import type { Problem } from './outcome.ts';
import { problemFrom } from './problem.ts';
import { within } from './time.ts';

type Step = () => unknown;

export class Cleanup {
  readonly #steps: Step[] = [];

  defer(step: Step): void {
    this.#steps.push(step);
  }

  /** Runs what was deferred, last first; steps deferred meanwhile too. A step that hangs is left behind and reported. */
  async run(milliseconds: number): Promise<Problem[]> {
    const problems: Problem[] = [];
    for (let step = this.#steps.pop(); step; step = this.#steps.pop()) {
      try {
        const end = await within(milliseconds, Promise.resolve(step()));
        if (end === 'timeout')
          problems.push({ what: `a cleanup step did not end in ${milliseconds / 1000} s`, lines: [] });
      } catch (error) {
        problems.push(problemFrom(error, 'cleanup'));
      }
    }
    return problems;
  }
}
