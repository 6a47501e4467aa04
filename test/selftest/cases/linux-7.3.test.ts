import { onMocked } from '../every-case.ts';

onMocked('linux-7.3', 'tdx');
