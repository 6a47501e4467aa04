import { onMocked } from '../every-case.ts';

onMocked('inplace-v13', 'software-protected');
