/** What the doctor finds, and what it may look at. */

import type { Host } from '../../kvm/index.ts';
import type { BackendProbe } from '../../syscalls/open.ts';

export interface Finding {
  readonly name: string;
  /** `ok`: there. `missing`: not there, and `fix` says how to get it. `info`: neither good nor bad. */
  readonly status: 'ok' | 'missing' | 'info';
  readonly value: string;
  readonly fix?: string;
}

/** The machine, as far as the doctor looks: so that a test can be another machine. */
export interface System {
  readonly node: { readonly version: string; readonly arch: string; readonly uid: number };
  readonly release: string;
  /** A file's text; undefined where it cannot be read. */
  read(path: string): string | undefined;
  /** Names in a directory; none where it cannot be read. */
  list(path: string): readonly string[];
  /** Whether the file can be opened so: undefined if it can, else the errno's name. */
  refusal(path: string, how: 'read' | 'write'): string | undefined;
  backends(): readonly BackendProbe[];
  /** A host on the real kernel, or why there is none. */
  host(): Promise<Host | string>;
}

/** Looks at one thing. Probes know nothing of each other. */
export type Probe = (system: System) => readonly Finding[] | Promise<readonly Finding[]>;

export const ok = (name: string, value: string): Finding => ({ name, status: 'ok', value });
export const info = (name: string, value: string): Finding => ({ name, status: 'info', value });
export const missing = (name: string, value: string, fix: string): Finding => ({ name, status: 'missing', value, fix });

export function deviceFile({ refusal }: System, path: string, fix: string): Finding {
  const code = refusal(path, 'write');
  return code === undefined ? ok(path, 'can be opened') : missing(path, code, fix);
}
