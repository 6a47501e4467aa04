/** Waiting with an end. */

export type Ending = 'done' | 'timeout' | 'interrupted';

/**
 * Waits for `work`, at most so long, and no longer than until `signal` fires. Work that is given up is left running:
 * a system call cannot be called back.
 * @throws what `work` rejects with in time.
 */
export async function within(milliseconds: number, work: Promise<unknown>, signal?: AbortSignal): Promise<Ending> {
  let timer: NodeJS.Timeout | undefined;
  let onAbort: (() => void) | undefined;
  const givenUp = new Promise<Ending>((resolve) => {
    timer = setTimeout(resolve, milliseconds, 'timeout');
    onAbort = () => resolve('interrupted');
    if (signal?.aborted) onAbort();
    signal?.addEventListener('abort', onAbort);
  });
  try {
    return await Promise.race([work.then((): Ending => 'done'), givenUp]);
  } finally {
    clearTimeout(timer);
    if (onAbort) signal?.removeEventListener('abort', onAbort);
  }
}
