/** Trying again what a passing reference refused. */

import { setTimeout as delay } from 'node:timers/promises';
import { checkInteger, checkOptions, wrongType } from '../abi/invalid.ts';

export interface RetryOptions {
  /** How often to try in all; at least 1. */
  readonly attempts: number;
  /** Milliseconds between two tries; 1 by default. */
  readonly delayMs?: number;
}

export interface ConvertOptions {
  /** Tries again on EAGAIN. Left out: one try. */
  readonly retry?: RetryOptions;
  /** Ends the waiting and trying: the call rejects with the signal's reason. What is in the kernel is not interrupted. */
  readonly signal?: AbortSignal;
}

export interface Patience {
  readonly attempts: number;
  readonly delayMs: number;
  readonly signal: AbortSignal | undefined;
}

/** setTimeout's own limit: a longer delay would become one of 1 ms. */
const MAX_DELAY = 0x7fff_ffff;

export function checkPatience(options: ConvertOptions): Patience {
  checkOptions('options', options, ['retry', 'signal']);
  const { retry, signal } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw wrongType('options.signal', 'an AbortSignal', signal);
  }
  if (retry === undefined) return { attempts: 1, delayMs: 0, signal };
  checkOptions('options.retry', retry, ['attempts', 'delayMs']);
  const { attempts, delayMs = 1 } = retry;
  checkInteger('options.retry.attempts', attempts, 1, Number.MAX_SAFE_INTEGER);
  checkInteger('options.retry.delayMs', delayMs, 0, MAX_DELAY);
  return { attempts, delayMs, signal };
}

/** The last outcome, and how many tries it took. @throws the signal's reason */
export async function persist<T>(
  { attempts, delayMs, signal }: Patience,
  once: () => Promise<T>,
  isTransient: (outcome: T) => boolean,
): Promise<{ outcome: T; attempts: number }> {
  for (let attempt = 1; ; attempt++) {
    signal?.throwIfAborted();
    const outcome = await once();
    if (!isTransient(outcome) || attempt >= attempts) return { outcome, attempts: attempt };
    await pause(delayMs, signal);
  }
}

async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await delay(milliseconds, undefined, signal ? { signal } : undefined);
  } catch {
    // The timer rejects with its own AbortError; the caller gets the reason given to abort().
    signal?.throwIfAborted();
  }
}
