/**
 * Where the mock knowingly is not the kernel, and why. What is not listed here and differs from a kernel is a bug of
 * the mock. `gmem selftest` runs on both, so a difference outside this list shows as a failing case.
 */

export interface KnownDifference {
  readonly profiles: 'all' | readonly string[];
  readonly kernel: string;
  readonly mock: string;
  readonly reason: string;
}

export const knownDifferences: readonly KnownDifference[] = [
  {
    profiles: ['rfc-v2'],
    kernel:
      'An allocation failure while the work list is built is lost: part of the range is converted and 0 returned.',
    mock: 'Answers ENOMEM and converts nothing.',
    reason: 'A defect of the posted patches (a shadowed variable); a mock that copied it would hide bugs of callers.',
  },
  {
    profiles: ['rfc-v2'],
    kernel: 'After ENOMEM error_offset is an uninitialised stack value, shifted left by 12.',
    mock: 'Writes 0x5a5a5a5a5000.',
    reason: 'Undefined in the kernel; a fixed value that is no offset makes a caller that reads it fail every time.',
  },
  {
    profiles: ['rfc-v2'],
    kernel:
      'From patch 38 on, a conversion to private leaves stage-2 entries of shared memory in slots whose userspace_addr is 0 or unmapped, and patch 04 zaps both kinds in the begin step.',
    mock: 'Unmaps exactly the converted part, of the kind that goes, between begin and check, in every slot.',
    reason:
      'The order and the exactness are those of patch 38, which the thread describes; the missing zap is a hole there.',
  },
  {
    profiles: ['rfc-v2'],
    kernel: 'Pages converted in a guest_memfd without SUPPORT_SHARED are recorded (as mailed) or not (later rebase).',
    mock: 'Recorded, as mailed. Neither host nor guest can tell.',
    reason: 'No observable difference; the journal shows the step.',
  },
  {
    profiles: ['rfc-v2'],
    kernel: 'Huge pages: GUEST_MEMFD_FLAG_HUGETLB with its size field, split and merge.',
    mock: 'EINVAL for the flag; 4 KiB folios only.',
    reason: 'The profile is the series built without CONFIG_KVM_GMEM_HUGETLB, where the flag is EINVAL.',
  },
  {
    profiles: ['rfc-v2'],
    kernel: 'Touching a mapping beyond the end of the file warns in the kernel log and raises SIGBUS.',
    mock: 'SIGBUS (EFAULT for a copy), without the warning.',
    reason: 'There is no kernel log; the outcome for the process is the same.',
  },
  {
    profiles: ['rfc-v2', 'inplace-v13'],
    kernel: 'A conversion to private can fail with EAGAIN once in a while although nobody holds a page for long.',
    mock: 'Only where a test plans it (transientReference).',
    reason: 'Tests must be repeatable.',
  },
  {
    profiles: ['rfc-v2', 'inplace-v13'],
    kernel: 'A software-protected guest that races a conversion may exit with a memory fault once.',
    mock: 'A guest access inside a conversion reports `retry`; outside it never faults.',
    reason: 'One thread: accesses and conversions do not overlap unless a journal listener makes them.',
  },
  {
    profiles: ['linux-6.18', 'rfc-v2'],
    kernel:
      'Binds the last page below 2^63 of any guest_memfd to a slot: kvm_gmem_bind() adds offset and size as signed numbers.',
    mock: 'EINVAL, as since 7.3.',
    reason: 'A defect that was repaired; a mock that copied it would hide bugs of callers.',
  },
  {
    profiles: ['inplace-v13'],
    kernel: 'Folios on LRU batches are drained before a reference count is called too high.',
    mock: 'Has no LRU.',
    reason: 'Not observable.',
  },
  {
    profiles: 'all',
    kernel: 'KVM_ENABLE_CAP knows dirty rings, halt polling, MSR filters and many more.',
    mock: 'Only KVM_CAP_EXIT_HYPERCALL; EINVAL for the rest.',
    reason: 'They have no effect on memory; the typed API does not use them.',
  },
  {
    profiles: 'all',
    kernel: 'KVM_CHECK_EXTENSION answers for some two hundred capabilities.',
    mock: 'Answers for those in lib/abi/capabilities.ts; 0 for the rest.',
    reason: 'The table is what this package speaks about.',
  },
  {
    profiles: 'all',
    kernel: 'madvise knows some twenty advices; mprotect, mremap and MAP_FIXED can change a mapping.',
    mock: 'MADV_DONTNEED and MADV_POPULATE_READ/WRITE; EINVAL for other advices, and nothing changes a mapping.',
    reason: 'The seam offers no more.',
  },
  {
    profiles: 'all',
    kernel: 'Opens any path; memfds take sealing and huge-page flags.',
    mock: 'Opens /dev/kvm; memfd flags are ignored.',
    reason: 'Other files are the business of the host, not of a mock of KVM.',
  },
  {
    profiles: 'all',
    kernel:
      'SNP and TDX VMs need their own set-up before they run; contents after a conversion are firmware’s business.',
    mock: 'They run at once. SNP: each side reads the other’s bytes as noise. TDX: contents are lost on the way to shared.',
    reason: 'The memory protocol is what is mocked; noise is deterministic so that tests repeat.',
  },
  {
    profiles: 'all',
    kernel: 'st_ino of VM and event fds, timestamps, st_nlink of anonymous files follow the file system.',
    mock: 'Fixed small numbers; each guest_memfd and memfd has an inode number of its own.',
    reason: 'Nothing depends on them.',
  },
];
