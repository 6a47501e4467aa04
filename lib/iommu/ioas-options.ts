/** What the calls that map into an IOAS take, checked before anything reaches the kernel. */

import { checkOptions } from '../abi/invalid.ts';
import { IOMMU_IOAS_MAP_FIXED_IOVA, IOMMU_IOAS_MAP_READABLE, IOMMU_IOAS_MAP_WRITEABLE } from '../abi/iommufd.ts';
import { type FdLike, fdNumber } from '../host/index.ts';
import {
  ACCESS,
  type Access,
  type CheckedMemory,
  checkAccess,
  checkIova,
  checkLength,
  checkMemory,
  type MapMemoryOptions,
  MEMORY,
} from './options.ts';

export interface IoasMapOptions extends MapMemoryOptions {
  /** Where the device sees it. Default: where the kernel likes, within what `allowIovas` allows. */
  readonly iova?: number | bigint;
}

export interface IoasMapFileOptions extends Access {
  /** A guest_memfd, or any other file; which ones can be mapped is the kernel's to say. */
  readonly file: FdLike;
  /** Bytes from the start of the file. Default: 0. */
  readonly start?: number | bigint;
  /** Bytes. */
  readonly length: number | bigint;
  /** As for `map`. */
  readonly iova?: number | bigint;
}

/** `flags` and `iova` of a request. */
interface Target {
  readonly flags: number;
  readonly iova: bigint;
}

export interface CheckedMap {
  readonly memory: CheckedMemory;
  readonly target: Target;
}

export function checkMap(options: IoasMapOptions): CheckedMap {
  checkOptions('options', options, [...MEMORY, 'iova']);
  return { memory: checkMemory(options), target: checkTarget(options) };
}

export function checkTarget(options: Access & { readonly iova?: number | bigint }): Target {
  const { readable, writeable } = checkAccess(options);
  const access = (readable ? IOMMU_IOAS_MAP_READABLE : 0) | (writeable ? IOMMU_IOAS_MAP_WRITEABLE : 0);
  if (options.iova === undefined) return { flags: access, iova: 0n };
  return { flags: access | IOMMU_IOAS_MAP_FIXED_IOVA, iova: checkIova('options.iova', options.iova) };
}

export interface CheckedFile {
  readonly fd: number;
  readonly start: bigint;
  readonly length: bigint;
  readonly target: Target;
}

export function checkMapFile(options: IoasMapFileOptions): CheckedFile {
  checkOptions('options', options, ['file', 'start', 'length', 'iova', ...ACCESS]);
  const fd = fdNumber(options.file);
  // Destructuring, unlike ??, gives no default for null.
  const { start: from = 0 } = options;
  const start = checkIova('options.start', from);
  const length = checkLength('options.length', options.length);
  return { fd, start, length, target: checkTarget(options) };
}
