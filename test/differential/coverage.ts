/** How often each command got which answer: a generator that never gets far finds nothing. */

import type { Command } from './command.ts';
import { answerName } from './seen.ts';
import type { Facts } from './world.ts';

export class Coverage {
  readonly #answers = new Map<string, Map<string, number>>();
  steps = 0;

  count(name: string, ret: number): void {
    this.steps++;
    const answers = this.#answers.get(name) ?? new Map<string, number>();
    const answer = ret >= 0 ? 'ok' : answerName(ret);
    answers.set(answer, (answers.get(answer) ?? 0) + 1);
    this.#answers.set(name, answers);
  }

  /** One line for each command. */
  lines(commands: readonly Command[]): string[] {
    return commands
      .filter(({ name }) => this.#answers.has(name))
      .map(({ name }) => {
        const answers = [...this.#answers.get(name)!].sort((a, b) => b[1] - a[1]);
        return `${name.padEnd(22)} ${answers.map(([answer, count]) => `${answer} ${count}`).join(', ')}`;
      });
  }

  /** Answers that never came, as "command: answer". */
  missing(commands: readonly Command[], facts: Facts): string[] {
    return commands.flatMap(({ name, expects }) =>
      expects(facts)
        .filter((answer) => !this.#answers.get(name)?.has(answer))
        .map((answer) => `${name}: ${answer}`),
    );
  }
}
