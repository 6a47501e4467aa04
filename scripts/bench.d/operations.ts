/** What is measured. Every caller knows the operations by these names. */

export const operationNames = [
  'check-extension',
  'create-close',
  'punch-hole',
  'check-extension-many',
  'convert-2mib',
] as const;

export type OperationName = (typeof operationNames)[number];

export const operations: Readonly<Record<OperationName, string>> = {
  'check-extension': 'KVM_CHECK_EXTENSION, the cheapest ioctl there is',
  'create-close': 'KVM_CREATE_GUEST_MEMFD and close',
  'punch-hole': 'fallocate, PUNCH_HOLE of one page that is not there',
  'check-extension-many': '1,000 KVM_CHECK_EXTENSION by ioctlMany, the time of one',
  'convert-2mib': 'a conversion of 2 MiB with all its pages, by turns to shared and to private',
};
