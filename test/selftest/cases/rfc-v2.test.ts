import { onMocked } from '../every-case.ts';

onMocked('rfc-v2', 'software-protected');
