/** The addon: all it exports, and where it is found. What the fields of a record mean is told in `op.ts`. */

import { createRequire } from 'node:module';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { addonUnavailable } from './missing-addon.ts';

export interface Layouts {
  /** LINUX_VERSION_CODE of the headers it was built with. */
  readonly linuxVersionCode: number;
  /** `own`: the header lacks it, so the addon's own declaration was compiled. */
  readonly structs: readonly {
    readonly name: string;
    readonly size: number;
    readonly source: 'header' | 'own';
    readonly fields: readonly { readonly name: string; readonly offset: number; readonly size: number }[];
  }[];
  readonly requests: readonly NamedNumber[];
  /** Commands inside an ioctl: lib/abi/sev.ts and tdx.ts. */
  readonly commands: readonly NamedNumber[];
}

interface NamedNumber {
  readonly name: string;
  readonly number: number;
  readonly source: 'header' | 'own';
}

/** Garbage in any argument is a TypeError or RangeError. */
export interface Addon {
  /** The calls a record can hold; a call's index is its code. `pointer` is no call, but belongs to the ioctl before it. */
  readonly calls: readonly string[];
  /** An ioctl on a struct, now. Answers >= 0, or -errno. */
  ioctl(fd: number, request: number, struct: Uint8Array): number;
  /**
   * A function that makes an ioctl with a plain argument, now: it takes fd, request and argument from the frame's
   * first numbers and leaves the answer, or NaN for numbers it refuses, in the fourth. The frame is shared memory,
   * which nothing can detach.
   */
  ioctlFrame(frame: Float64Array): () => void;
  /** Makes the calls now, in order. Each answer is in the first two numbers of its record; NaN where it was refused. */
  run(records: Float64Array, count: number, buffers: readonly ArrayBufferView[]): void;
  /** Makes the calls in order on a thread of the pool, then calls `done`. Keeps `records` and `buffers` alive. */
  submit(records: Float64Array, count: number, buffers: readonly ArrayBufferView[], done: () => void): void;
  /**
   * An ioctl with the argument 0, on a thread of the fd's own, then `done(result)`. The request has no struct; `flag` is
   * the address of the byte that `interrupt` sets, in a mapping made here, which stays mapped until then.
   */
  ioctlBlocking(fd: number, request: number, flag: bigint, done: (result: number) => void): void;
  /** Sets the flag of the fd's blocking ioctl and makes it come back with EINTR; nothing where there is none. */
  interrupt(fd: number): void;
  /**
   * Runs programs, each its records, their count and the buffers, on threads of their own, then `done` with what each
   * did: [steps made], rows of [step, outcome, word or -1, count], [step, at, wanted, found] of a lost byte or nothing,
   * and address after address with the bytes that must be there.
   */
  race(
    programs: readonly (readonly [Float64Array, number, readonly ArrayBufferView[]])[],
    milliseconds: number,
    steps: number,
    done: (
      results: readonly (readonly [Float64Array, Float64Array, Float64Array, readonly (bigint | Uint8Array)[]])[],
    ) => void,
  ): void;
  layouts(): Layouts;
  /** Closes the files that copies go through; the next copy makes a new one. */
  dispose(): void;
}

const require = createRequire(import.meta.url);

/** lib/syscalls/ and dist/syscalls/ are equally deep. */
const packageRoot = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

/** @throws BackendUnavailableError with what was looked for and what would help. */
export function loadAddon(): { readonly addon: Addon; readonly path: string } {
  let path: string | undefined;
  try {
    path = findAddon();
    return { addon: require(path) as Addon, path };
  } catch (error) {
    throw addonUnavailable(packageRoot, path, error);
  }
}

/** A build of one's own goes before a prebuilt binary. Throws when there is neither. */
function findAddon(): string {
  const override = process.env['GMEM_NATIVE_PATH'];
  if (override) return resolve(override);
  const nodeGypBuild = require('node-gyp-build') as { resolve(directory: string): string };
  return nodeGypBuild.resolve(packageRoot);
}
