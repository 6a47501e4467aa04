/** Failing a call's 1st, 2nd, ... allocation until it passes. */

import type { Result } from '../host/index.ts';
import type { T } from './context.ts';
import { openFailNth } from './fail-nth.ts';

export interface Sweep<S, V> {
  readonly what: string;
  /** Makes what the call works on; anew for each try. */
  prepare(): Promise<S>;
  /** The call, synchronous. */
  call(state: S): Result<V>;
  /** Whether a real kernel may get each allocation in another way when it fails alone. Default: some is needed. */
  readonly recovers?: boolean;
  /** What must hold then: after a refusal, and once it went well. */
  check(state: S, outcome: Result<V>): Promise<void>;
}

/** More allocations than any of these calls makes; a sweep that comes to it does not end by itself. */
const LIMIT = 2_000;

/**
 * Makes the call with its first allocation failing, then with the second, until it makes no more. A refusal must be
 * ENOMEM, and there must be one; a kernel may also do without what it could not get, or get it in another way
 * (`recovers`).
 */
export async function sweepAllocations<S, V>(
  t: T,
  { what, prepare, call, recovers = false, check }: Sweep<S, V>,
): Promise<void> {
  const failNth = openFailNth(t.host);
  t.defer(() => failNth.close());
  let refusals = 0;
  for (let nth = 1; nth <= LIMIT; nth += 1) {
    const state = await prepare();
    const { result, failed } = failNth.during(nth, () => call(state));
    if (!failed) t.succeeds(result, `${what} with memory for everything`);
    if (!result.ok) t.fails(result, 'ENOMEM', `${what}, allocation ${nth} fails`);
    if (!result.ok) refusals += 1;
    await check(state, result);
    if (failed) continue;
    t.note(`${what}: ${nth - 1} allocations, ${refusals} of which are ENOMEM when they fail`);
    if (!recovers || t.host.mock) t.ok(refusals > 0, `${what}: some allocation is needed`);
    return;
  }
  throw new Error(`${what}: more than ${LIMIT} allocations`);
}
