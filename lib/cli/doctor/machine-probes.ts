/** Huge pages, page pins, and confidential-computing hardware. */

import { GUP_TEST_PATH } from '../../abi/gup-test.ts';
import { type ConfidentialType, confidentialTypes, whyNoVmType } from '../../host/index.ts';
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

const HARDWARE: Readonly<Record<ConfidentialType, string>> = {
  sev: 'AMD SEV',
  'sev-es': 'AMD SEV-ES',
  snp: 'AMD SEV-SNP',
  tdx: 'Intel TDX host',
};

/** That a CPU has none of it is normal; what it has and KVM does not use is worth a word. */
export const confidentialCpu: Probe = ({ read, node }) => {
  if (node.arch !== 'x64') return [];
  return confidentialTypes.map((type) => {
    const lack = whyNoVmType(type, read);
    if (!lack) return ok(HARDWARE[type], `VM type ${type}: CPU, firmware and KVM have it`);
    if (lack.what.startsWith('no CPU flag')) return info(HARDWARE[type], `${lack.what}: ${lack.fix}`);
    return missing(HARDWARE[type], lack.what, lack.fix);
  });
};

export const gupTest: Probe = (system) => [
  deviceFile(system, GUP_TEST_PATH, `${GUP_TEST_FIX}; gives page pins to tests`),
];
