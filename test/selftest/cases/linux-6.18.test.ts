import { onMocked } from '../every-case.ts';

onMocked('linux-6.18', 'software-protected');
