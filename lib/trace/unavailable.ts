/** Why steps inside the kernel cannot be seen here, and what would help. */

export class TracingUnavailableError extends Error {
  override readonly name = 'TracingUnavailableError';
  readonly code = 'ERR_TRACING_UNAVAILABLE';
  readonly reason: string;
  readonly fix: string;

  constructor(reason: string, fix: string, options?: ErrorOptions) {
    super(`steps inside the kernel cannot be seen: ${reason} -> ${fix}`, options);
    this.reason = reason;
    this.fix = fix;
  }
}
