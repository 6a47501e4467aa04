import { onMocked } from '../every-case.ts';

onMocked('inplace-v13', 'sev-snp');
