/** What a command may touch of the world, so that tests can be the world. */

export interface Io {
  /** stdout: results and nothing else. One call for a line. */
  out(text: string): void;
  /** stderr: whatever else there is to say. */
  error(text: string): void;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Fires when the user wants the command to end. */
  readonly signal: AbortSignal;
}

/** Exit codes: kselftest's, and 2 for a wrong command line. */
export type ExitCode = 0 | 1 | 2 | 4;

export interface Command {
  /** One line for the list of commands. */
  readonly summary: string;
  readonly help: string;
  run(argv: readonly string[], io: Io): Promise<ExitCode>;
}
