/** Which of the two backends that call a kernel can be had here. */

import { createFfi } from './ffi.ts';
import { createNative } from './native.ts';
import type { Syscalls } from './seam.ts';
import { BackendUnavailableError } from './unavailable.ts';

export type RealBackend = 'native' | 'ffi';

export interface BackendProbe {
  readonly backend: RealBackend;
  readonly available: boolean;
  /** What it is, or why it is not to be had. */
  readonly description: string;
  readonly reasons: readonly string[];
  readonly fixes: readonly string[];
}

const BACKENDS: { readonly [Name in RealBackend]: () => Syscalls } = { native: createNative, ffi: createFfi };

/** @throws BackendUnavailableError with everything that was found and what would help. */
export function openBackend(backend: RealBackend): Syscalls {
  return BACKENDS[backend]();
}

/** Tries both, in order of preference. Opens no device and leaves nothing open. */
export function probeBackends(): BackendProbe[] {
  return (Object.keys(BACKENDS) as RealBackend[]).map(probe);
}

function probe(backend: RealBackend): BackendProbe {
  try {
    const syscalls = openBackend(backend);
    syscalls.dispose();
    return { backend, available: true, description: syscalls.description, reasons: [], fixes: [] };
  } catch (error) {
    if (!(error instanceof BackendUnavailableError)) throw error;
    return {
      backend,
      available: false,
      description: error.reasons.join('; '),
      reasons: error.reasons,
      fixes: error.fixes,
    };
  }
}
