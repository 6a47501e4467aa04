/** What openHost() takes, and the checks on it. */

import { checkOneOf, checkOptions, wrongValue } from '../abi/invalid.ts';
import type { Dialect } from '../abi/ioctl.ts';
import type { MockOptions } from '../mock/index.ts';
import { dialectNames } from './dialects.ts';

export type BackendName = 'native' | 'ffi' | 'mock';

/** The mock's own options (`kernel`, `platform`, `memory` and so on) go with `backend: 'mock'` only. */
export interface HostOptions extends MockOptions {
  /** 'auto', the default: a real kernel if one can be reached, else the mock. A name: that one, or an error. */
  readonly backend?: 'auto' | BackendName;
  /** Takes this dialect instead of the one the probe finds. The environment variable GMEM_DIALECT does the same. */
  readonly dialect?: Dialect;
}

/** The dialect that was forced, and by what. */
export interface ForcedDialect {
  readonly dialect: Dialect;
  readonly by: string;
}

/** Each of them: one that is left out here does not compile. */
const FOR_THE_MOCK: Readonly<Record<keyof MockOptions, true>> = {
  kernel: true,
  platform: true,
  memory: true,
  iommu: true,
  memlock: true,
  devices: true,
  hugePages: true,
  gmemInPlaceConversion: true,
  invariants: true,
};
const MOCK_OPTIONS = Object.keys(FOR_THE_MOCK) as readonly (keyof MockOptions)[];

export function checkHostOptions(options: HostOptions): void {
  checkOptions('options', options, ['backend', 'dialect', ...MOCK_OPTIONS]);
  const { backend = 'auto', dialect } = options;
  checkOneOf('options.backend', backend, ['auto', 'native', 'ffi', 'mock']);
  for (const name of MOCK_OPTIONS) {
    if (options[name] !== undefined && backend !== 'mock') {
      throw wrongValue(
        `options.${name}`,
        `left out unless backend is 'mock', which alone can choose it`,
        options[name],
      );
    }
  }
  if (dialect !== undefined) checkOneOf('options.dialect', dialect, dialectNames);
}

/** What is for the mock alone; createMock() checks it. */
export function mockOptions({ backend: _, dialect: __, ...options }: HostOptions): MockOptions {
  return options;
}

/** The option goes before the environment. */
export function forcedDialect(options: HostOptions, environment: NodeJS.ProcessEnv): ForcedDialect | undefined {
  if (options.dialect !== undefined) return { dialect: options.dialect, by: 'option dialect' };
  const word = environment['GMEM_DIALECT'];
  if (word === undefined || word === '') return undefined;
  return { dialect: checkOneOf<Dialect>('GMEM_DIALECT', word, dialectNames), by: 'GMEM_DIALECT' };
}
