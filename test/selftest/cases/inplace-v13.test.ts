import { onMocked } from '../every-case.ts';

await onMocked('inplace-v13', 'sev-snp');
