/** A line of a trace as an event. */

import type { EventName } from './points.ts';

export interface TraceEvent {
  readonly name: EventName;
  /** The thread it happened in. */
  readonly thread: number;
  /** A value that is not there could not be read: the memory was not mapped at that moment. */
  readonly values: Readonly<Record<string, bigint | undefined>>;
}

/** "  comm-12  [000] d..1.  345: name_2: (symbol+0x0/0x10) start=1 end=2"; a comm may hold blanks and dashes. */
const LINE = /-(\d+)\s+\[\d+\]\s+\S+\s+[\d.]+: ([a-z_]+?)(?:_\d+)?: \([^)]*\)(.*)$/;

/** @throws Error for a line that is not one of ours: the format is the kernel's and may change. */
export function parseEvent(line: string): TraceEvent {
  const match = LINE.exec(line);
  if (!match) throw new Error(`not a line of a trace: ${line}`);
  const [, thread = '', name = '', rest = ''] = match;
  const values: Record<string, bigint | undefined> = {};
  for (const [, key = '', text = ''] of rest.matchAll(/ (\w+)=(\(fault\)|-?\w+)/g)) {
    values[key] = text === '(fault)' ? undefined : toBigInt(text);
  }
  return { name: name as EventName, thread: Number(thread), values };
}

const toBigInt = (text: string): bigint => (text.startsWith('-') ? -BigInt(text.slice(1)) : BigInt(text));
