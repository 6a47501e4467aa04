/**
 * The hint table's rows for iommufd and VFIO, whose EINVAL says the least of all.
 * Sources: drivers/iommu/iommufd/, drivers/vfio/ and virt/kvm/vfio.c of Linux 7.3.4.
 */

import type { Hint } from './hint.ts';

const MAPS = ['IOMMU_IOAS_MAP', 'IOMMU_IOAS_MAP_FILE'];
const ATTACHES = ['VFIO_DEVICE_ATTACH_IOMMUFD_PT', 'IOMMU_TEST_OP_MOCK_DOMAIN', 'IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE'];
const MEMLOCK =
  'more pages than may be locked: raise ulimit -l (RLIMIT_MEMLOCK), or give the process CAP_IPC_LOCK; iommufd counts per user, type1 per process';

export const iommuHints: readonly Hint[] = [
  {
    on: ['IOMMU_IOAS_MAP'],
    code: 'EINVAL',
    text: 'iova, length and address must be multiples of ioas.iovaRanges().alignment, and the range within its ranges',
  },
  {
    on: ['IOMMU_IOAS_MAP_FILE'],
    code: 'EINVAL',
    text: 'iova, length and start must be multiples of ioas.iovaRanges().alignment, the range within its ranges and all of its pages within the file; and with a device attached the file must be one that can be pinned: memfd, tmpfs, hugetlbfs, a dma-buf, but no guest_memfd (map its address instead, where it is shared)',
  },
  {
    on: [...MAPS, 'IOMMU_IOAS_COPY', 'VFIO_IOMMU_MAP_DMA'],
    code: 'EEXIST',
    text: 'something is mapped in this range already: unmap it first',
  },
  {
    on: ['IOMMU_IOAS_MAP', 'VFIO_IOMMU_MAP_DMA'],
    code: 'EFAULT',
    text: 'a page of the memory cannot be pinned: it is not mapped here, private guest memory, not writeable, or device memory (VM_PFNMAP)',
  },
  { on: [...MAPS, 'VFIO_IOMMU_MAP_DMA', ...ATTACHES], code: 'ENOMEM', text: MEMLOCK },
  {
    on: MAPS,
    code: 'ENOSPC',
    text: 'no room for it within the allowed iovas (ioas.allowIovas()); a fixed iova is not bound by them',
  },
  {
    on: ['IOMMU_IOAS_UNMAP'],
    code: 'ENOENT',
    text: 'nothing is mapped there, or the range cuts an area: areas are unmapped whole, and those at the start of the range are gone already',
  },
  {
    on: ['IOMMU_IOAS_COPY'],
    code: 'ENOENT',
    text: 'part of the source range is not mapped',
  },
  { on: ['IOMMU_IOAS_COPY'], code: 'EPERM', text: 'the memory is mapped read-only there, so writeable must be false' },
  {
    on: ['IOMMU_IOAS_ALLOW_IOVAS'],
    code: 'EADDRINUSE',
    text: 'an attached device cannot use all of a range; see ioas.iovaRanges()',
  },
  {
    on: ATTACHES,
    code: 'EADDRINUSE',
    text: 'something is mapped in the IOAS, or allowed, where this device cannot reach (its aperture, a reserved range, its page size)',
  },
  {
    on: ATTACHES,
    code: 'EINVAL',
    text: 'something mapped in the IOAS cannot be pinned (a guest_memfd by file, a range past the end of its file), or the id is of another kind',
  },
  {
    on: ATTACHES,
    code: 'EFAULT',
    text: 'an address mapped in the IOAS has no memory (any longer), or may not be written',
  },
  {
    on: ['IOMMU_DESTROY'],
    code: 'EBUSY',
    text: 'it is in use: detach the devices, and destroy what was made on it, first',
  },
  { on: ['IOMMU_DESTROY'], code: 'ENOENT', text: 'no object of the iommufd has this id' },
  { on: ['IOMMU_OPTION'], code: 'EBUSY', text: 'the mode can be set only before anything is made on the iommufd' },
  { on: ['IOMMU_OPTION'], code: 'EPERM', text: 'it takes CAP_SYS_RESOURCE' },
  {
    on: ['IOMMU_HWPT_ALLOC'],
    code: 'EOPNOTSUPP',
    text: 'this IOMMU has no dirty tracking, or no nesting; see iommufd.hwInfo()',
  },
  {
    on: ['IOMMU_VFIO_IOAS', 'VFIO_SET_IOMMU'],
    code: 'ENODEV',
    text: 'no IOAS for VFIO is set (iommufd.setVfioIoas(), or group.setContainer(iommufd)); on a container: no such driver (modprobe vfio_iommu_type1)',
  },
  {
    on: ['VFIO_SET_IOMMU'],
    code: 'EINVAL',
    text: 'the container has no group yet (group.setContainer()), or its driver is set already',
  },
  {
    on: ['VFIO_SET_IOMMU', 'VFIO_GROUP_GET_DEVICE_FD'],
    code: 'EPERM',
    text: 'the IOMMU does not remap interrupts: use one that does, or set allow_unsafe_interrupts of vfio_iommu_type1 (a container) or of iommufd',
  },
  {
    // iommu_device_claim_dma_owner(), and before it iommu_group_has_isolated_msi().
    on: ['VFIO_DEVICE_BIND_IOMMUFD'],
    code: 'EPERM',
    text: 'a device of its IOMMU group is in use by another driver or another iommufd (host.vfio.devices() shows drivers and groups), or the IOMMU does not remap interrupts: use one that does, or set allow_unsafe_interrupts of iommufd',
  },
  {
    on: ['VFIO_IOMMU_MAP_DMA'],
    code: 'EINVAL',
    text: "iova, size and address must be page aligned and within the container's iovaRanges (container.info()), and the driver must be set (container.setIommu())",
  },
  {
    on: ['VFIO_IOMMU_MAP_DMA'],
    code: 'ENOSPC',
    text: 'as many mappings as there may be (vfio_iommu_type1.dma_entry_limit)',
  },
  {
    on: ['VFIO_IOMMU_UNMAP_DMA'],
    code: 'EINVAL',
    text: 'the range must be page aligned, and may not cut a mapping (type1v2)',
  },
  {
    on: ['VFIO_IOMMU_UNMAP_DMA'],
    code: 'ENOENT',
    text: 'the range cuts a mapping (iommufd); those before it are gone already',
  },
  {
    on: ['VFIO_GROUP_GET_STATUS', 'VFIO_GROUP_SET_CONTAINER'],
    code: 'EINVAL',
    text: 'the group is in a container already, or a device of it has a driver that is not a VFIO driver',
  },
  {
    on: ['VFIO_GROUP_GET_DEVICE_FD'],
    code: 'EINVAL',
    text: 'the group is in no container, or the container has no driver yet (container.setIommu())',
  },
  {
    on: ['VFIO_GROUP_GET_DEVICE_FD'],
    code: 'ENODEV',
    text: 'no device of this name is in the group and bound to a VFIO driver',
  },
  {
    on: ['VFIO_DEVICE_BIND_IOMMUFD'],
    code: 'EINVAL',
    text: 'the device is bound already, by this file or another, or was opened through its group',
  },
  { on: ['VFIO_DEVICE_BIND_IOMMUFD'], code: 'EBUSY', text: 'the device is in use through its group (/dev/vfio/N)' },
  {
    on: ['VFIO_DEVICE_GET_INFO', 'VFIO_DEVICE_GET_REGION_INFO', 'VFIO_DEVICE_GET_IRQ_INFO'],
    code: 'EINVAL',
    text: 'there is no such region or interrupt; or the device was opened by its own file and is not bound yet (device.bind())',
  },
  { on: ['VFIO_DEVICE_RESET'], code: 'EINVAL', text: 'the device cannot be reset (device.info().canReset)' },
  { on: ['VFIO_DEVICE_FEATURE'], code: 'ENOTTY', text: 'the device does not have this feature (device.hasFeature())' },
  { on: ['KVM_CREATE_DEVICE'], code: 'EBUSY', text: 'the VM has one of these already' },
  { on: ['KVM_CREATE_DEVICE'], code: 'ENODEV', text: 'this kernel has no such device (CONFIG_KVM_VFIO)' },
];
