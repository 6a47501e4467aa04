/** The package as it is built: what users run is what is measured. Also where the sources of the callers lie. */

const root = new URL('../../', import.meta.url);
const load = (path: string): Promise<unknown> => import(new URL(`dist/${path}`, root).href);

export const source = (name: string): URL => new URL(`scripts/bench.d/${name}`, root);

type Package = typeof import('../../lib/index.ts');
type Abi = typeof import('../../lib/abi/index.ts');
type HostParts = typeof import('../../lib/host/index.ts');
type Backends = typeof import('../../lib/syscalls/index.ts');
type Mocks = typeof import('../../lib/mock/index.ts');

export const loadPackage = () => load('index.js') as Promise<Package>;
export const loadAbi = () => load('abi/index.js') as Promise<Abi>;
export const loadHostParts = () => load('host/index.js') as Promise<HostParts>;
export const loadBackends = () => load('syscalls/index.js') as Promise<Backends>;
export const loadMocks = () => load('mock/index.js') as Promise<Mocks>;
