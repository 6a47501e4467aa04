/**
 * A JavaScript caller: `node caller.js STYLE WORK`. One process each, so that the engine sees one kind of call and
 * optimises for it, as it would in a program. Speaks as caller.c does.
 */

import { createInterface } from 'node:readline';
import { backendCalls, koffiCalls, openSyscalls } from './calls.ts';
import { checking, openFiles } from './files.ts';
import { awaitedLoops, inFlightLoops } from './loops-async.ts';
import { type Loop, type Loops, syncLoops } from './loops-sync.ts';
import type { OperationName } from './operations.ts';
import type { Work } from './work.ts';

export type Style = keyof typeof styles;

const styles = {
  'native sync': () => throughBackend('native', 'sync'),
  'native awaited': () => throughBackend('native', 'awaited'),
  'native in flight': () => throughBackend('native', 'in flight'),
  'ffi sync': () => throughBackend('ffi', 'sync'),
  'koffi sync': () => throughKoffi(),
};

const [style, json] = process.argv.slice(2) as [Style, string];
const work = JSON.parse(json) as Work;

async function throughBackend(backend: 'native' | 'ffi', kind: 'sync' | 'awaited' | 'in flight'): Promise<Loops> {
  const syscalls = await openSyscalls(backend);
  const calls = backendCalls(syscalls);
  const check = await checking(calls);
  const files = await openFiles(calls, check, work);
  if (kind === 'sync') return syncLoops(calls, check, files, work);
  return (kind === 'awaited' ? awaitedLoops : inFlightLoops)(syscalls, check, files, work);
}

async function throughKoffi(): Promise<Loops> {
  const calls = await koffiCalls();
  const check = await checking(calls);
  return syncLoops(calls, check, await openFiles(calls, check, work), work);
}

async function nanosecondsOf(loop: Loop, count: number): Promise<bigint> {
  await loop(Math.floor(count / 10));
  const begin = process.hrtime.bigint();
  await loop(count);
  return process.hrtime.bigint() - begin;
}

const message = (error: unknown): string => String(error instanceof Error ? error.message : error).split('\n')[0]!;

const loops = await styles[style]().catch((error: unknown) => new Error(message(error)));

async function answer(line: string): Promise<string> {
  if (loops instanceof Error) return `error ${loops.message}`;
  const [name, count] = line.split(' ') as [OperationName, string];
  const loop = loops[name];
  if (loop === undefined) return 'error it has no such call';
  try {
    return String(await nanosecondsOf(loop, Number(count)));
  } catch (error) {
    return `error ${message(error)}`;
  }
}

for await (const line of createInterface({ input: process.stdin })) process.stdout.write(`${await answer(line)}\n`);
process.exit();
