import { onMocked } from '../every-case.ts';

await onMocked('linux-6.18', 'software-protected');
