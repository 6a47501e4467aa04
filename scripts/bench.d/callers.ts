/** Who makes the calls. */

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Style } from './caller.ts';
import { source } from './dist.ts';
import type { OperationName } from './operations.ts';
import { asDefinitions, type Work } from './work.ts';

export const YARDSTICK = 'C';

export interface Caller {
  readonly name: string;
  /** What to start. @throws when it cannot be had here */
  command(work: Work): Promise<readonly [string, ...string[]]>;
  /** It makes its calls in batches of `work.batch`. */
  readonly batches?: true;
  /** Operations it is not asked for, and why. */
  readonly cannot?: Partial<Record<OperationName, string>>;
}

const file = (url: URL): string => fileURLToPath(url);

/** Each has its own binary: one that runs cannot be written. */
const compiled =
  (name: string, ...args: string[]) =>
  async (work: Work) => {
    const program = file(new URL(name, import.meta.url));
    const flags = ['-O2', '-Wall', '-Wextra', '-pthread', ...asDefinitions(work)];
    await promisify(execFile)(process.env['CC'] ?? 'cc', [...flags, '-o', program, file(source('caller.c'))]);
    return [program, ...args] as const;
  };

const javaScript = (style: Style) => async (work: Work) =>
  [process.execPath, file(new URL('caller.js', import.meta.url)), style, JSON.stringify(work)] as const;

const python = async (work: Work) => ['python3', file(source('caller.py')), JSON.stringify(work)] as const;

const noBatch = { 'check-extension-many': 'it has no call for many at once' };

export const callers: readonly Caller[] = [
  // With a second thread, idle: in a process that has only one the kernel takes no reference on the file for a call
  // (fs/file.c, __fget_light()), which nobody with vCPUs, and no Node process, can have.
  { name: YARDSTICK, command: compiled('caller-c-threaded', 'threaded') },
  { name: 'C, one thread', command: compiled('caller-c') },
  { name: 'addon sync', command: javaScript('native sync') },
  { name: 'addon async, one by one', command: javaScript('native awaited') },
  {
    name: 'addon async, 1,000 in flight',
    command: javaScript('native in flight'),
    batches: true,
    cannot: { 'check-extension-many': 'one such call is 1,000 already' },
  },
  { name: 'ffi-rs', command: javaScript('ffi sync') },
  { name: 'koffi', command: javaScript('koffi sync'), cannot: noBatch },
  { name: 'python3', command: python, cannot: noBatch },
];

/** Why a caller is not asked for an operation, where that is known beforehand. */
export function refusalOf(caller: Caller, operation: OperationName, work: Work): string | undefined {
  if (operation === 'convert-2mib' && work.convert === undefined) return 'this kernel has no conversion ioctl';
  return caller.cannot?.[operation];
}
