import { onMocked } from '../every-case.ts';

await onMocked('linux-7.3', 'tdx');
