/** On what the cases run: one group for each real backend, and one for each mocked kernel and platform. */

import type { Dialect } from '../abi/index.ts';
import type { BackendName, HostOptions } from '../host/index.ts';
import { type PlatformName, type ProfileName, platformNames, profileNames, profiles } from '../mock/index.ts';

export const backendNames: readonly BackendName[] = ['native', 'ffi', 'mock'];

export interface GroupSpec {
  readonly backend: BackendName;
  readonly kernel?: ProfileName;
  readonly platform?: PlatformName;
  readonly dialect?: Dialect;
  /** That it cannot run is a failure, not a skip. */
  readonly required: boolean;
  /** How it came to be in the plan, for the report. */
  readonly why: 'asked for by name' | 'part of a run of everything';
}

export interface Wishes {
  readonly backends?: readonly BackendName[];
  readonly kernels?: readonly ProfileName[];
  readonly platforms?: readonly PlatformName[];
  readonly dialect?: Dialect;
}

/**
 * Without wishes: both real backends (the second is an independent opinion on the first), and every mocked kernel;
 * those that convert in place on every platform, since that is where platforms differ.
 */
export function planGroups({ backends, kernels, platforms, dialect }: Wishes): GroupSpec[] {
  const chosen = backends ?? (kernels || platforms ? ['mock' as const] : backendNames);
  const named = chosen !== backendNames;
  const rest = {
    why: named ? ('asked for by name' as const) : ('part of a run of everything' as const),
    ...(dialect && { dialect }),
  };
  return chosen.flatMap((backend): GroupSpec[] => {
    if (backend !== 'mock') return [{ backend, required: named, ...rest }];
    return (kernels ?? profileNames).flatMap((kernel) =>
      (platforms ?? defaultPlatforms(kernel, kernels !== undefined)).map(
        (platform): GroupSpec => ({ backend, kernel, platform, required: true, ...rest }),
      ),
    );
  });
}

function defaultPlatforms(kernel: ProfileName, named: boolean): readonly PlatformName[] {
  return named || profiles[kernel].conversion === 'none' ? ['software-protected'] : platformNames;
}

/** How a group's host is opened. */
export function hostOptions({ backend, kernel, platform, dialect }: GroupSpec): HostOptions {
  const checks = backend === 'mock' ? { invariants: true } : {};
  return { backend, ...checks, ...(kernel && { kernel }), ...(platform && { platform }), ...(dialect && { dialect }) };
}

/** As a group is called before its host is known. */
export function specName({ backend, kernel, platform }: GroupSpec): string {
  return [backend, kernel, platform].filter(Boolean).join(' ');
}

/** The arguments of `gmem selftest` that run this group alone. */
export function groupArguments(spec: GroupSpec): string {
  const { invariants: _, ...options } = hostOptions(spec);
  return Object.entries(options)
    .map(([name, value]) => `--${name} ${value}`)
    .join(' ');
}
