/** Whose a GuestRam's parts are, and in which order they go. */

import { type Context, Handle, isClosedError } from '../host/index.ts';
import { isMockHostCrashedError } from '../syscalls/host-crashed.ts';
import type { MadeRam } from './create.ts';
import type { Ram } from './ram.ts';
import { Turns } from './turns.ts';

export interface OwnedRam {
  readonly context: Context;
  readonly handle: Handle;
  readonly ram: Ram;
  readonly turns: Turns;
}

export function ownRam({ context, ram, regions }: MadeRam): OwnedRam {
  const release = async (): Promise<void> => {
    const errors: unknown[] = [];
    for (const attachment of ram.attachments) await attempt(errors, () => attachment.unmapAll());
    for (const region of [...regions].reverse()) await attempt(errors, () => region[Symbol.asyncDispose]());
    await attempt(errors, () => ram.backing.close());
    if (errors.length > 0) throw new AggregateError(errors, 'a GuestRam did not close in order');
  };
  const handle = context.adopt(new Handle(`GuestRam of ${ram.size} bytes`, release));
  return { context, handle, ram, turns: new Turns() };
}

/** What was closed before took its own share of this with it, and a host that died took everything. */
async function attempt(errors: unknown[], work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isClosedError(error) && !isMockHostCrashedError(error)) errors.push(error);
  }
}
