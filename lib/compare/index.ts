export { type CompareOptions, compare, type Row } from './compare.ts';
export { type DesignName, designNames } from './designs.ts';
export { LARGEST_MEMORY } from './machine.ts';
export { rowsText } from './table.ts';
export type { Figures } from './tally.ts';
export { type GuestRequest, type WorkloadName, type WorkloadOptions, workload, workloadNames } from './workload.ts';
