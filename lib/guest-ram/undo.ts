/** How to take back what was done so far, last first. */

import type { KernelError, Result } from '../host/index.ts';

export class Undo {
  readonly #steps: (() => Promise<Result<unknown>>)[] = [];

  add(step: () => Promise<Result<unknown>>): void {
    this.#steps.push(step);
  }

  /** Takes back all it can, and answers what it could not. */
  async run(): Promise<KernelError[]> {
    const errors: KernelError[] = [];
    for (const step of this.#steps.splice(0).reverse()) {
      const result = await step();
      if (!result.ok) errors.push(result.error);
    }
    return errors;
  }
}

/** The error that stopped it stays the error; what could not be put back is said in its hint. */
export function withUndone(error: KernelError, failures: readonly KernelError[]): KernelError {
  if (failures.length === 0) return error;
  const texts = failures.map(({ message }) => message).join('; ');
  const before = error.hint === undefined ? '' : `${error.hint}; `;
  return error.with({ hint: `${before}and not everything could be put back: ${texts}` });
}
