/** Huge pages, page pins, and confidential-computing hardware. */

import { GUP_TEST_PATH } from '../../abi/gup-test.ts';
import { GUP_TEST_FIX } from '../../selftest/index.ts';
import { deviceFile, info, missing, ok, type Probe } from './finding.ts';

const HUGE = '/sys/kernel/mm/hugepages';

export const hugePages: Probe = ({ list, read }) => {
  const sizes = list(HUGE);
  if (sizes.length === 0) return [missing('huge pages', 'none', 'needs a kernel with CONFIG_HUGETLBFS=y')];
  return sizes.map((size) => {
    const count = (file: string): string => read(`${HUGE}/${size}/${file}`)?.trim() ?? '?';
    const name = `huge pages of ${size.replace('hugepages-', '')}`;
    const total = count('nr_hugepages');
    const some = Number.parseInt(size.replace('hugepages-', ''), 10) < 1024 * 1024 ? 16 : 1;
    if (total === '0') return missing(name, '0 reserved', `echo ${some} > ${HUGE}/${size}/nr_hugepages`);
    return ok(name, `${total} reserved, ${count('free_hugepages')} free`);
  });
};

/** CPU flags that the kernel shows only where firmware has the feature enabled. Source: arch/x86/include/asm/cpufeatures.h */
const CPU_FLAGS = [
  { flag: 'sev', what: 'AMD SEV' },
  { flag: 'sev_es', what: 'AMD SEV-ES' },
  { flag: 'sev_snp', what: 'AMD SEV-SNP' },
  { flag: 'tdx_host_platform', what: 'Intel TDX host' },
] as const;

export const confidentialCpu: Probe = ({ read, node }) => {
  if (node.arch !== 'x64') return [];
  const line = /^flags\s*:(.*)$/m.exec(read('/proc/cpuinfo') ?? '')?.[1] ?? '';
  const flags = new Set(line.trim().split(/\s+/));
  return CPU_FLAGS.map(({ flag, what }) =>
    flags.has(flag)
      ? ok(what, `CPU flag ${flag}`)
      : info(what, `no CPU flag ${flag}: needs a CPU with it, enabled in the firmware and in the kernel`),
  );
};

export const gupTest: Probe = (system) => [
  deviceFile(system, GUP_TEST_PATH, `${GUP_TEST_FIX}; gives page pins to tests`),
];
