/** Node.js and the ways from it to the kernel. */

import { info, missing, ok, type Probe } from './finding.ts';

export const nodeVersion: Probe = ({ node: { version, arch } }) => {
  const [major = 0, minor = 0] = version.replace('v', '').split('.').map(Number);
  const enough = major > 20 || (major === 20 && minor >= 19);
  const value = `${version}, ${arch}`;
  return [enough ? ok('Node.js', value) : missing('Node.js', value, 'install Node.js 20.19 or later')];
};

export const backends: Probe = (system) =>
  system.backends().map(({ backend, available, description, fixes }) => {
    const name = `backend ${backend}`;
    return available ? ok(name, description) : missing(name, description, fixes.join('; '));
  });

export const mock: Probe = () => [info('backend mock', 'always there: needs no kernel support and no rights')];

/** "Max locked memory  8388608  8388608  bytes": soft and hard limit. */
export const lockedMemory: Probe = ({ read }) => {
  const soft = /^Max locked memory\s+(\S+)/m.exec(read('/proc/self/limits') ?? '')?.[1];
  if (soft === undefined) return [];
  if (soft === 'unlimited') return [ok('locked memory', soft)];
  return [
    info('locked memory', `${Number(soft) / 1024 / 1024} MiB; pins by VFIO and iommufd count against it (ulimit -l)`),
  ];
};
