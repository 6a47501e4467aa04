/** A backend that cannot be had on this machine: why, and what to do about it. */

export class BackendUnavailableError extends Error {
  readonly code = 'ERR_BACKEND_UNAVAILABLE';
  readonly backend: 'native' | 'ffi';
  /** What was found, one sentence each. */
  readonly reasons: readonly string[];
  /** What would help, one sentence each. */
  readonly fixes: readonly string[];

  constructor(backend: 'native' | 'ffi', reasons: readonly string[], fixes: readonly string[], cause?: unknown) {
    const list = (lines: readonly string[]) => lines.map((line) => `\n  - ${line}`).join('');
    super(
      `the ${backend} backend is not available:${list(reasons)}\nPossible solutions:${list(fixes)}`,
      cause === undefined ? undefined : { cause },
    );
    this.name = 'BackendUnavailableError';
    this.backend = backend;
    this.reasons = reasons;
    this.fixes = fixes;
  }
}

/** The first line of what something threw. */

export function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n')[0] as string;
}
