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
    profiles: 'all',
    kernel: 'Taking a device that is open away from vfio-pci waits until it is closed.',
    mock: 'Signals the request to give it back, and answers EAGAIN.',
    reason: 'Nobody could close it while the mock waits.',
  },
  {
    profiles: 'all',
    kernel: 'Of a punched hole, takes from page tables of the host the pages that are in one, each as it goes.',
    mock: 'Does so for the hole as a whole, before its pages go, and says so in one step.',
    reason: 'Nobody can tell but the journal; a step for each page of a large hole would say no more.',
  },
  {
    profiles: 'all',
    kernel:
      'KVM_PRE_FAULT_MEMORY while a memslot of a default VM is deleted may try again for ever, and the deletion waits ' +
      'for it, until a signal comes: the retry does not reload a root that the deletion made obsolete (seen on 7.3.4).',
    mock: 'Ends as without the other call.',
    reason: 'Calls do not overlap in the mock, and a call that never ends would teach nobody more than this entry.',
  },
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
    kernel:
      'A merged huge page counts as written, or as never written, as its first page does, so that pages lose what was on them or show what was there before.',
    mock: 'Every page keeps what it holds; the first guest to touch the huge page zeroes those that were never used.',
    reason: 'Read from the posted patches and never run; a mock that copied it would make every conversion lossy.',
  },
  {
    profiles: ['rfc-v2'],
    kernel:
      'A hole that has a part of a huge page that is not split zeroes it from its start, also before the hole begins.',
    mock: 'Zeroes the part, and nothing else.',
    reason: 'A defect of the posted patches, read and never run: it destroys what nobody asked to.',
  },
  {
    profiles: ['rfc-v2'],
    kernel:
      'When a huge page cannot be split, those that the same call came by before are merged, also where pages of them are shared; with no huge page in the range the answer is an uninitialised number.',
    mock: 'Puts back exactly what the call changed; 0 where there was nothing to do.',
    reason: 'Defects of the posted patches: a loop that undoes too much, and a variable without a first value.',
  },
  {
    profiles: ['rfc-v2'],
    kernel: 'Undoing a conversion can fail for want of memory, which the kernel warns of and leaves half done.',
    mock: 'Undoing never fails.',
    reason: 'There would be no state left to describe; no caller can do anything about it.',
  },
  {
    profiles: ['rfc-v2'],
    kernel:
      'A hole over a whole huge page that cannot be merged for want of memory warns, and drops its first page alone.',
    mock: 'Answers ENOMEM, and the huge page stays.',
    reason: 'Read from the posted patches and never run; what the kernel is left with then is not described anywhere.',
  },
  {
    profiles: ['rfc-v2'],
    kernel: 'Splitting and merging wait, spinning, for references that somebody takes in passing.',
    mock: 'They do not look at references; a conversion to private, and a hole, do so before.',
    reason: 'One thread: there is nobody who would let go meanwhile.',
  },
  {
    profiles: ['rfc-v2'],
    kernel:
      'As mailed, a file without SUPPORT_SHARED counts as shared when it is asked whether a huge page must be split, so that all of its huge pages are.',
    mock: 'Huge pages of such a file are never split, as in the later rebase.',
    reason: 'Nobody can hold single pages of it, so that splitting them would only cost memory and large mappings.',
  },
  {
    profiles: ['rfc-v2'],
    kernel:
      'A split huge page that is dropped goes back to its pool a moment later, from a workqueue, and its counters with it.',
    mock: 'At once.',
    reason: 'Tests must be repeatable; on a kernel they poll.',
  },
  {
    profiles: ['rfc-v2'],
    kernel: 'Two threads that fault in the same huge page at once can find the pool empty: one gets ENOMEM.',
    mock: 'Never.',
    reason: 'One thread.',
  },
  {
    profiles: 'all',
    kernel: 'Broken memory (hwpoison) is taken out of use: a page for good, a huge page out of its pool.',
    mock: 'A broken page is never handed out again; that its host or pool has less from then on is not counted.',
    reason: 'Counters return to where they were, so that a case which leaves memory behind is noticed.',
  },
  {
    profiles: ['rfc-v2'],
    kernel:
      'Folios are not on the LRU, and memory_failure() leaves such a page mapped: the host goes on reading it, and a guest ' +
      'that has no translation yet gets EHWPOISON.',
    mock: 'Takes the page from host and guest, as the guest_memfd of released kernels does.',
    reason: 'Seen on the RFC’s behaviour on 7.3, not on the posted patches; whether it is meant is open.',
  },
  {
    profiles: ['rfc-v2'],
    kernel: 'When a huge page with a broken page is split, all of its pages count as broken.',
    mock: 'Only the broken one.',
    reason: 'Read from the posted patches, which copy the flags of the first page, and never run.',
  },
  {
    profiles: 'all',
    kernel: 'Pools of huge pages grow and shrink by memory policy, take surplus pages, and are charged to cgroups.',
    mock: 'Two pools, 2 MiB and 1 GiB, as many pages as the option says; nr_hugepages can be written, the rest is fixed.',
    reason: 'A guest_memfd takes no surplus pages, and the rest is no matter of guest_memfd.',
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
    mock: 'Opens what lib/mock/paths.ts lists; memfd flags are ignored.',
    reason: 'Other files are the business of the host, not of a mock of KVM.',
  },
  {
    profiles: 'all',
    kernel: 'A pin makes all its pages: too many for the host answer ENOMEM, and st_blocks of a memfd counts them.',
    mock: 'So it does up to 4 MiB; beyond, pages come into being when somebody looks at them.',
    reason: 'Mapping a terabyte must not cost a terabyte.',
  },
  {
    profiles: 'all',
    kernel:
      'Replacing a device’s page table by one of another IOMMU driver is not refused: the driver takes it for its own.',
    mock: 'EINVAL, as for a first attach.',
    reason: 'A defect of iommu_replace_group_handle(): with a mock domain and a real device Linux 7.3.4 oopses.',
  },
  {
    profiles: 'all',
    kernel: 'Pages that lie side by side in memory share entries of an IOMMU page table, and so their dirty bit.',
    mock: 'Every page has its own.',
    reason: 'Where pages lie is chance.',
  },
  {
    profiles: 'all',
    kernel: 'A map that meets a conversion waits for it.',
    mock: 'An asynchronous call does; a synchronous one, from a journal listener, answers EAGAIN.',
    reason: 'One thread: it cannot wait for what it interrupts.',
  },
  {
    profiles: 'all',
    kernel: 'The test driver’s guest IOMMU has registers that can be mapped, and loops data through them.',
    mock: 'EOPNOTSUPP for data in IOMMU_VIOMMU_ALLOC; mapping an iommufd is ENXIO.',
    reason: 'Nothing of this package uses them.',
  },
  {
    profiles: 'all',
    kernel:
      'What a page holds after it changed hands is firmware’s business: ciphertext on SNP, zero or anything on TDX, poison on some CPUs.',
    mock: 'Noise that is the same in every run; a page that a TD accepts is zero.',
    reason: 'Tests must be repeatable, and must not rely on what is there.',
  },
  {
    profiles: ['rfc-v2'],
    kernel:
      'Leaves the RMP as it is when a page is converted to shared: SNP needs patches of its own besides (M. Roth, 12 June 2025).',
    mock: 'Gives the page back to the host, after the guest’s translations are gone, as v13 does.',
    reason: 'Without them no SNP guest could be converted, and there is nothing to mock.',
  },
  {
    profiles: 'all',
    kernel:
      'SEV firmware measures and signs: it checks identity blocks and the CPUID page, and keeps attestation reports and certificates.',
    mock: 'Takes any identity block, session and CPUID page whose bytes are there; a measurement is a SHA-256 of what was added, without key and nonce. Reports, secrets, debugging and migration are EINVAL.',
    reason: 'Cryptography is not what is mocked; the states of a launch and their order are.',
  },
  {
    profiles: 'all',
    kernel:
      'KVM_SEV_INIT and KVM_SEV_ES_INIT make a SEV guest of a default VM; KVM_SEV_LAUNCH_UPDATE_DATA encrypts memory of the process in place.',
    mock: 'EINVAL for the first two; the memory reads as before.',
    reason: 'Successors exist since 6.10; guests of plain SEV have no private memory of a guest_memfd.',
  },
  {
    profiles: 'all',
    kernel: 'The TDX module decides which CPUID leaves can be chosen: some sixty.',
    mock: 'Three: 1, 7 and 0x80000008.',
    reason: 'Enough for a list that is chosen from; the checks on it are KVM’s.',
  },
  {
    profiles: ['linux-6.18', 'rfc-v2'],
    kernel: 'Linux 6.15 has no TDX guests yet, and 6.18 copies the contents of a launch at any alignment.',
    mock: 'The launch commands are those of 7.3 on every profile.',
    reason: 'One launch for all: what a series for guest_memfd changes is tested on launched guests.',
  },
  {
    profiles: 'all',
    kernel: 'st_ino of VM and event fds, timestamps, st_nlink of anonymous files follow the file system.',
    mock: 'Fixed small numbers; each guest_memfd and memfd has an inode number of its own.',
    reason: 'Nothing depends on them.',
  },
  {
    profiles: 'all',
    kernel: 'KVM_SET_DEVICE_ATTR and its siblings on a vCPU reach the offset of its TSC (EFAULT for a null address).',
    mock: 'EINVAL, as for a request that the vCPU does not have.',
    reason: 'The clock has no effect on memory; the typed API does not use it.',
  },
];
