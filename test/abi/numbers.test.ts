/** The request numbers, as the kernel's headers give them: the registers' are x86's, the others' the same everywhere. */

import { expect, test } from 'vitest';
import {
  findIoctl,
  IOMMUFD_TYPE,
  ioctls,
  iommuTest,
  requestName,
  requestNr,
  requestSize,
  requestType,
  VFIO_DEVICE_FEATURE,
  vfioWithBitmap,
} from '../../lib/abi/index.ts';

const NUMBERS = {
  KVM_GET_API_VERSION: 0x0000_ae00,
  KVM_CREATE_VM: 0x0000_ae01,
  KVM_CHECK_EXTENSION: 0x0000_ae03,
  KVM_ENABLE_CAP: 0x4068_aea3,
  KVM_SET_USER_MEMORY_REGION: 0x4020_ae46,
  KVM_SET_USER_MEMORY_REGION2: 0x40a0_ae49,
  KVM_SET_MEMORY_ATTRIBUTES: 0x4020_aed2,
  KVM_CREATE_GUEST_MEMFD: 0xc040_aed4,
  KVM_GMEM_CONVERT_SHARED: 0xc040_af41,
  KVM_GMEM_CONVERT_PRIVATE: 0xc040_af42,
  KVM_SET_MEMORY_ATTRIBUTES2: 0xc080_aed2,
  KVM_GET_VCPU_MMAP_SIZE: 0x0000_ae04,
  KVM_CREATE_VCPU: 0x0000_ae41,
  KVM_RUN: 0x0000_ae80,
  KVM_GET_REGS: 0x8090_ae81,
  KVM_SET_REGS: 0x4090_ae82,
  KVM_GET_SREGS: 0x8138_ae83,
  KVM_SET_SREGS: 0x4138_ae84,
  KVM_GET_SUPPORTED_CPUID: 0xc008_ae05,
  KVM_SET_CPUID2: 0x4008_ae90,
  KVM_GET_MP_STATE: 0x8004_ae98,
  KVM_SET_MP_STATE: 0x4004_ae99,
  KVM_PRE_FAULT_MEMORY: 0xc040_aed5,
  KVM_MEMORY_ENCRYPT_OP: 0xc008_aeba,
  KVM_MEMORY_ENCRYPT_REG_REGION: 0x8010_aebb,
  KVM_MEMORY_ENCRYPT_UNREG_REGION: 0x8010_aebc,
  KVM_CREATE_DEVICE: 0xc00c_aee0,
  KVM_SET_DEVICE_ATTR: 0x4018_aee1,
  KVM_GET_DEVICE_ATTR: 0x4018_aee2,
  KVM_HAS_DEVICE_ATTR: 0x4018_aee3,
  IOMMU_DESTROY: 0x3b80,
  IOMMU_IOAS_ALLOC: 0x3b81,
  IOMMU_IOAS_ALLOW_IOVAS: 0x3b82,
  IOMMU_IOAS_COPY: 0x3b83,
  IOMMU_IOAS_IOVA_RANGES: 0x3b84,
  IOMMU_IOAS_MAP: 0x3b85,
  IOMMU_IOAS_UNMAP: 0x3b86,
  IOMMU_OPTION: 0x3b87,
  IOMMU_VFIO_IOAS: 0x3b88,
  IOMMU_HWPT_ALLOC: 0x3b89,
  IOMMU_GET_HW_INFO: 0x3b8a,
  IOMMU_HWPT_SET_DIRTY_TRACKING: 0x3b8b,
  IOMMU_HWPT_GET_DIRTY_BITMAP: 0x3b8c,
  IOMMU_HWPT_INVALIDATE: 0x3b8d,
  IOMMU_FAULT_QUEUE_ALLOC: 0x3b8e,
  IOMMU_IOAS_MAP_FILE: 0x3b8f,
  IOMMU_VIOMMU_ALLOC: 0x3b90,
  IOMMU_VDEVICE_ALLOC: 0x3b91,
  IOMMU_IOAS_CHANGE_PROCESS: 0x3b92,
  IOMMU_VEVENTQ_ALLOC: 0x3b93,
  IOMMU_HW_QUEUE_ALLOC: 0x3b94,
  IOMMU_IOAS_NOIOMMU_GET_PA: 0x3b95,
  IOMMU_TEST_CMD: 0x3ba0,
  VFIO_GET_API_VERSION: 0x3b64,
  VFIO_CHECK_EXTENSION: 0x3b65,
  VFIO_SET_IOMMU: 0x3b66,
  VFIO_GROUP_GET_STATUS: 0x3b67,
  VFIO_GROUP_SET_CONTAINER: 0x3b68,
  VFIO_GROUP_UNSET_CONTAINER: 0x3b69,
  VFIO_GROUP_GET_DEVICE_FD: 0x3b6a,
  VFIO_DEVICE_GET_INFO: 0x3b6b,
  VFIO_DEVICE_GET_REGION_INFO: 0x3b6c,
  VFIO_DEVICE_GET_IRQ_INFO: 0x3b6d,
  VFIO_DEVICE_SET_IRQS: 0x3b6e,
  VFIO_DEVICE_RESET: 0x3b6f,
  VFIO_IOMMU_GET_INFO: 0x3b70,
  VFIO_DEVICE_GET_PCI_HOT_RESET_INFO: 0x3b70,
  VFIO_IOMMU_MAP_DMA: 0x3b71,
  VFIO_DEVICE_PCI_HOT_RESET: 0x3b71,
  VFIO_IOMMU_UNMAP_DMA: 0x3b72,
  VFIO_IOMMU_ENABLE: 0x3b73,
  VFIO_IOMMU_DISABLE: 0x3b74,
  VFIO_DEVICE_IOEVENTFD: 0x3b74,
  VFIO_IOMMU_DIRTY_PAGES: 0x3b75,
  VFIO_DEVICE_FEATURE: 0x3b75,
  VFIO_DEVICE_BIND_IOMMUFD: 0x3b76,
  VFIO_DEVICE_ATTACH_IOMMUFD_PT: 0x3b77,
  VFIO_DEVICE_DETACH_IOMMUFD_PT: 0x3b78,
};

test('the ioctls of the table have their numbers', () => {
  expect(Object.fromEntries(ioctls.map(({ name, ioctl }) => [name, ioctl.request]))).toEqual(NUMBERS);
});

test.each(ioctls)('$name: the number says the size of its struct, but for iommufd and VFIO', ({ ioctl }) => {
  const told = requestType(ioctl.request) === IOMMUFD_TYPE ? 0 : (ioctl.declaredSize ?? ioctl.struct?.size ?? 0);
  expect(requestSize(ioctl.request)).toBe(told);
});

test('a number is taken apart as it was put together', () => {
  const request = NUMBERS.KVM_SET_MEMORY_ATTRIBUTES2;
  expect([requestType(request), requestNr(request), requestSize(request)]).toEqual([0xae, 0xd2, 128]);
});

test('an ioctl is found by its whole number and the kind of fd, never by type and nr', () => {
  expect(findIoctl('guest-memfd', NUMBERS.KVM_SET_MEMORY_ATTRIBUTES2)?.name).toBe('KVM_SET_MEMORY_ATTRIBUTES2');
  expect(findIoctl('vm', NUMBERS.KVM_SET_MEMORY_ATTRIBUTES)?.name).toBe('KVM_SET_MEMORY_ATTRIBUTES');
  expect(findIoctl('vm', NUMBERS.KVM_SET_MEMORY_ATTRIBUTES2)).toBeUndefined();
  // VHOST_SCSI_CLEAR_ENDPOINT: the same type and nr as KVM_GMEM_CONVERT_SHARED.
  expect(findIoctl('guest-memfd', 0x40e8_af41)).toBeUndefined();
});

test('no two ioctls of one kind of fd share a number', () => {
  const keys = ioctls.flatMap(({ ioctl }) => ioctl.on.map((kind) => `${kind} ${ioctl.request}`));
  expect(new Set(keys).size).toBe(keys.length);
});

test('an unknown number is shown as it stands in a trace', () => {
  expect(requestName(0x40e8_af41)).toBe('0x40e8af41');
  expect(requestName(NUMBERS.KVM_GMEM_CONVERT_PRIVATE)).toBe('KVM_GMEM_CONVERT_PRIVATE');
});

test('a number that two kinds of fd have goes by both names, and by one where the kind is known', () => {
  const { request } = VFIO_DEVICE_FEATURE;
  expect(requestName(request)).toBe('VFIO_IOMMU_DIRTY_PAGES or VFIO_DEVICE_FEATURE');
  expect(requestName(request, 'vfio-device')).toBe('VFIO_DEVICE_FEATURE');
  expect(requestName(request, 'iommufd')).toBe('VFIO_IOMMU_DIRTY_PAGES');
  expect(requestName(request, 'vfio-group')).toBe('0x00003b75');
  expect(requestName(VFIO_DEVICE_FEATURE)).toBe('VFIO_DEVICE_FEATURE');
});

test('an operation of a request with a union has a name of its own', () => {
  expect(requestName(iommuTest.MD_CHECK_MAP)).toBe('IOMMU_TEST_OP_MD_CHECK_MAP');
  expect(requestName(vfioWithBitmap.UNMAP_DMA)).toBe('VFIO_IOMMU_UNMAP_DMA');
  expect(requestName(0x3ba0)).toBe('IOMMU_TEST_CMD');
});
