/**
 * How the IOMMU has guest_memfd's pages, as the designs that were proposed differ.
 *
 * - `pin`: today's kernels. By its address shared memory can be mapped and is pinned; by its file it cannot.
 * - `trust-vmm`: the RFC of February 2026. Mapped by its file, without references and without notification: whoever
 *   converts or punches without unmapping first leaves stale translations.
 * - `notifier`: the design of June 2025. No references; guest_memfd calls back with a reason, and the backend unmaps.
 * - `revoke-area`: as `notifier`, but whatever area is touched goes as a whole, and stays as an area without pages
 *   until it is unmapped, as that of a revoked dma-buf does.
 */
export type IommuPolicy = 'pin' | 'trust-vmm' | 'notifier' | 'revoke-area';

export const iommuPolicies = ['pin', 'trust-vmm', 'notifier', 'revoke-area'] as const satisfies readonly IommuPolicy[];
