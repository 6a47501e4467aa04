/**
 * Sub-commands: requests that travel inside one ioctl, by a number and a pointer to a struct of their own.
 * KVM_MEMORY_ENCRYPT_OP carries those of SEV and of TDX; see `sev.ts` and `tdx.ts`.
 */

import type { FdKind } from './ioctl.ts';
import type { Fields, Struct } from './struct.ts';

export interface CommandNotes {
  /** The first released kernel that has it. */
  readonly since?: string;
  /** An array follows the struct, and how many entries stands in it. */
  readonly entries?: true;
}

export interface Command<F extends Fields = Fields> extends CommandNotes {
  /** The kernel's name. */
  readonly name: string;
  readonly id: number;
  readonly on: FdKind;
  /** What its data pointer leads to; nothing where it has none. */
  readonly struct?: Struct<F>;
}

/** A command whose data is a struct. */
export interface StructCommand<F extends Fields = Fields> extends Command<F> {
  readonly struct: Struct<F>;
}

// biome-ignore lint/suspicious/noExplicitAny: a table holds commands of every struct; the fields are recovered by inference.
export type AnyCommand = Command<any>;

/** Declares a command with data. */
export function command<const F extends Fields>(
  on: FdKind,
  name: string,
  id: number,
  data: Struct<F>,
  notes: CommandNotes = {},
): StructCommand<F> {
  return { on, name, id, struct: data, ...notes };
}

/** Declares a command without. */
export function bareCommand(on: FdKind, name: string, id: number, notes: CommandNotes = {}): Command<Fields> {
  return { on, name, id, ...notes };
}
