import { onMocked } from '../every-case.ts';

await onMocked('rfc-v2', 'software-protected');
