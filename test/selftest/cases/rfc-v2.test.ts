import { platformNames } from '../../../lib/mock/index.ts';
import { onMocked } from '../every-case.ts';

onMocked('rfc-v2', ...platformNames);
