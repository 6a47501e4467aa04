/** What has to be undone when the process ends first: by itself, by process.exit(), or by a signal. */

export interface Closable {
  close(): void;
}

const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** Those to be closed when the process ends before their owners close them. */
export class Ending {
  readonly #open = new Set<Closable>();

  add(instance: Closable): void {
    if (this.#open.size === 0) {
      process.on('exit', this.#closeAll);
      for (const signal of SIGNALS) process.on(signal, this.#onSignal);
    }
    this.#open.add(instance);
  }

  delete(instance: Closable): void {
    this.#open.delete(instance);
    if (this.#open.size > 0) return;
    process.off('exit', this.#closeAll);
    for (const signal of SIGNALS) process.off(signal, this.#onSignal);
  }

  readonly #closeAll = (): void => {
    for (const instance of [...this.#open]) instance.close();
  };

  /** Where nobody else listens, the signal then does what it would have done without us. */
  readonly #onSignal = (signal: NodeJS.Signals): void => {
    if (process.listenerCount(signal) > 1) return;
    this.#closeAll();
    process.kill(process.pid, signal);
  };
}
