export { RangeMap, type Run } from './range-map.ts';
