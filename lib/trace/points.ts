/**
 * The functions of the kernel that are watched, and what is read of their arguments. Static functions come and go with
 * kernels, series and compilers, so for most there are several; functions that are called from another file are always
 * there. Arguments are read by position, fields by offset: the lab's kernels have no type information.
 */

/** What a watched function tells. Names of trace events, so without dashes. */
export type EventName =
  | 'ioctl'
  | 'ioctl_ends'
  | 'fallocate'
  | 'fallocate_ends'
  | 'release'
  | 'release_ends'
  | 'begin'
  | 'end'
  | 'end_of_vm'
  | 'unmap_guest'
  | 'unmap_host'
  | 'unmap_host_ends'
  | 'unmap_folio'
  | 'check'
  | 'check_ends'
  | 'store'
  | 'truncate'
  | 'truncate_ends';

/** One way to see an event: a function, and what is read when it begins (`p`) or ends (`r`). */
export interface Way {
  readonly kind: 'p' | 'r';
  readonly symbol: string;
  /** As kprobe_events has it: name=value pairs. */
  readonly reads: string;
}

export interface Point {
  readonly event: EventName;
  /** The first that the kernel has. */
  readonly ways: readonly Way[];
  /** Where it has none of them: any may be the one that is called. */
  readonly otherwise?: readonly Way[];
  /** What is not seen without it; left out where another point makes up for it. */
  readonly tells?: string;
}

const entry = (symbol: string, reads = ''): Way => ({ kind: 'p', symbol, reads });
const exit = (symbol: string, reads = 'result=$retval:s64'): Way => ({ kind: 'r', symbol, reads });
const file = 'file=$arg1:x64';
const span = 'start=$arg2:u64 end=$arg3:u64';

/** struct kvm_gfn_range: slot, start, end. */
const gfnRange = 'slot=+0($arg2):x64 start=+8($arg2):u64 end=+16($arg2):u64';
/** struct ma_state: tree, index, last. */
const maState = 'start=+8($arg1):u64 last=+16($arg1):u64 value=$arg2:u64';

export const points: readonly Point[] = [
  // The fields of both requests that say where to: RFC v2 by its number, attributes2 by the third word of its struct.
  {
    event: 'ioctl',
    ways: [entry('kvm_gmem_ioctl', `${file} request=$arg2:u32 attributes=+u16($arg3):u64`)],
    tells: 'conversions',
  },
  { event: 'ioctl_ends', ways: [exit('kvm_gmem_ioctl')] },
  { event: 'fallocate', ways: [entry('kvm_gmem_fallocate', `${file} mode=$arg2:u32`)], tells: 'punched holes' },
  { event: 'fallocate_ends', ways: [exit('kvm_gmem_fallocate')] },
  { event: 'release', ways: [entry('kvm_gmem_release', 'file=$arg2:x64')], tells: 'closed files' },
  { event: 'release_ends', ways: [exit('kvm_gmem_release')] },
  {
    event: 'begin',
    ways: [
      entry('__kvm_gmem_invalidate_start', span),
      entry('__kvm_gmem_invalidate_begin', span),
      entry('kvm_gmem_invalidate_start', span),
      entry('kvm_gmem_invalidate_begin', span),
    ],
    tells: 'invalidate-begin',
  },
  { event: 'end', ways: [entry('__kvm_gmem_invalidate_end', span), entry('kvm_gmem_invalidate_end', span)] },
  { event: 'end_of_vm', ways: [entry('kvm_mmu_invalidate_end')], tells: 'invalidate-end' },
  { event: 'unmap_guest', ways: [entry('kvm_unmap_gfn_range', gfnRange)], tells: 'unmap-stage2' },
  { event: 'unmap_host', ways: [entry('unmap_mapping_pages', 'start=$arg2:u64 count=$arg3:u64')], tells: 'unmap-host' },
  { event: 'unmap_host_ends', ways: [exit('unmap_mapping_pages', '')] },
  // struct folio: flags, lru (two words), mapping, index.
  { event: 'unmap_folio', ways: [entry('unmap_mapping_folio', 'page=+32($arg1):u64')], tells: 'unmap-host' },
  {
    event: 'check',
    ways: [entry('kvm_gmem_is_unused', span), entry('filemap_get_folios', 'start=+0($arg2):u64 last=$arg3:u64')],
    tells: 'check-references',
  },
  { event: 'check_ends', ways: [exit('kvm_gmem_is_unused', 'unused=$retval:u8 held=+0($arg4):u64')] },
  {
    event: 'store',
    ways: [entry('kvm_gmem_store_shareability', `${span} value=$arg4:u32`)],
    otherwise: [
      entry('mtree_store_range', 'start=$arg2:u64 last=$arg3:u64 value=$arg4:u64'),
      entry('mas_store_prealloc', maState),
      entry('mas_store_gfp', maState),
    ],
    tells: 'set-shareability',
  },
  {
    event: 'truncate',
    ways: [entry('truncate_inode_pages_range', 'from=$arg2:u64 to=$arg3:u64')],
    tells: 'truncate',
  },
  { event: 'truncate_ends', ways: [exit('truncate_inode_pages_range', '')] },
];
