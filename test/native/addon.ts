/** The addon by itself, for tests of what it does when nobody checks for it. */

import { type Addon, loadAddon } from '../../lib/syscalls/addon.ts';
import { probeBackends } from '../../lib/syscalls/open.ts';

const probe = probeBackends().find(({ backend }) => backend === 'native');
/** Why there is no addon; undefined when there is one. */
export const missing: string | undefined = probe?.available ? undefined : (probe?.description ?? 'no such backend');

export const addonPath = (): string => loadAddon().path;
export const addon = (): Addon => loadAddon().addon;

/** The fields of one record, by the places they have in `struct Record` of native/op.h. */
export interface RecordFields {
  readonly call: number;
  readonly fd?: number;
  readonly request?: number;
  readonly flags?: number;
  readonly number?: number;
  readonly offset?: bigint;
  readonly length?: bigint;
  readonly buffer?: number;
  readonly at?: number;
}

export function recordsOf(...all: RecordFields[]): Float64Array {
  const records = new Float64Array(6 * all.length);
  const view = new DataView(records.buffer);
  all.forEach(
    ({ call, fd = -1, request = 0, flags = 0, number = 0, offset = 0n, length = 0n, buffer = -1, at = 0 }, i) => {
      view.setInt32(48 * i, call, true);
      view.setInt32(48 * i + 4, fd, true);
      view.setUint32(48 * i + 8, request, true);
      view.setUint32(48 * i + 12, flags, true);
      view.setFloat64(48 * i + 16, number, true);
      view.setBigInt64(48 * i + 24, offset, true);
      view.setBigInt64(48 * i + 32, length, true);
      view.setInt32(48 * i + 40, buffer, true);
      view.setUint32(48 * i + 44, at, true);
    },
  );
  return records;
}

/** The code of a call. */
export const code = (name: string): number => addon().calls.indexOf(name);
