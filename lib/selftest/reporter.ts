/** What a run says as it goes; KTAP and JSON are two ways to write it down. */

import type { Totals } from '../ktap/index.ts';
import { type GroupSpec, groupArguments } from './groups.ts';
import type { CaseResult } from './outcome.ts';

/** A host that cases run on, as a report names it. */
export interface GroupInfo {
  readonly name: string;
  readonly spec: GroupSpec;
  readonly backend: string;
  /** Which library, addon or mocked kernel it is. */
  readonly description: string;
  /** Why it is run. */
  readonly why: string;
  readonly release: string;
  readonly platform: string;
  readonly vmTypes: readonly string[];
  readonly dialect: string;
  readonly dialectReason: string;
  /** Where the steps inside calls come from, when they were asked for. */
  readonly steps?: string;
}

export interface Reporter {
  /** First, with the number of groups. */
  begin(groups: number): void;
  /** In place of everything else: nothing can run. */
  nothing(reason: string): void;
  /** A group whose backend does not work here. */
  absent(spec: GroupSpec, reason: string): void;
  groupBegin(group: GroupInfo, cases: number): void;
  result(result: CaseResult): void;
  groupEnd(): void;
  /** Last, unless nothing could run. */
  end(totals: Totals, exitCode: number): void;
}

export const titleOf = ({ name, variant }: CaseResult): string => (variant === undefined ? name : `${name}.${variant}`);

/** What the cases are run by, unless a script of one's own runs them. */
export const DEFAULT_PROGRAM = 'gmem selftest';

/** The command that runs one case again. */
export function rerunCommand(program: string, { spec }: GroupInfo, { name, variant }: CaseResult): string {
  return `${program} ${groupArguments(spec)} -t ${name}${variant === undefined ? '' : ` -v ${variant}`}`;
}
