/** In-kernel users of an IOAS, as files of the test driver. */

import { errno } from '../../../abi/errno.ts';
import { U64_MAX } from '../../../abi/invalid.ts';
import type { IoctlOut } from '../../../abi/ioctl.ts';
import {
  type iommuTest,
  MOCK_ACCESS_RW_SLOW_PATH,
  MOCK_ACCESS_RW_WRITE,
  MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
  MOCK_FLAGS_ACCESS_SYZ,
  MOCK_FLAGS_ACCESS_WRITE,
} from '../../../abi/iommufd-test.ts';
import { PAGE_SIZE } from '../../../abi/linux.ts';
import type { Stat } from '../../../syscalls/seam.ts';
import { MockFile } from '../../process/index.ts';
import type { IommufdContext } from '../iommufd/context.ts';
import { InKernelAccess } from '../iommufd/in-kernel-access.ts';
import type { Reply } from '../iommufd/sized-dispatch.ts';
import { copyThrough } from '../pages/copy.ts';

type Test = typeof iommuTest;
type Args<Name extends keyof Test> = IoctlOut<Test[Name]>;

const PAGE = BigInt(PAGE_SIZE);
/** What the driver copies or pins at once, at most. */
const MAX_LENGTH = 16n * 1024n * 1024n;

interface Taken {
  readonly id: number;
  readonly start: bigint;
  readonly length: bigint;
}

class AccessFile extends MockFile {
  readonly access: InKernelAccess;
  #taken: Taken[] = [];
  #next = 0;

  constructor(context: IommufdContext, takesPages: boolean) {
    super();
    this.access = new InKernelAccess(context, {
      takesPages,
      locks: false,
      onUnmap: (start, length) => this.#letGo(start, length),
    });
    context.objects.add(this.access);
  }

  take(start: bigint, length: bigint): number {
    this.#taken.push({ id: this.#next, start, length });
    return this.#next++;
  }

  /** Whether there was something of this id. */
  give(id: number): boolean {
    const item = this.#taken.find((taken) => taken.id === id);
    if (item) this.#drop(item);
    return item !== undefined;
  }

  #letGo(start: bigint, length: bigint): void {
    for (const item of [...this.#taken]) {
      if (start < item.start + item.length && start + length > item.start) this.#drop(item);
    }
  }

  #drop(item: Taken): void {
    this.#taken = this.#taken.filter((taken) => taken !== item);
    this.access.unpin(item.start, item.length);
  }

  stat(): Stat {
    return { ino: 1n, mode: 0o600, nlink: 1, size: 0n, blksize: PAGE_SIZE, blocks: 0n };
  }

  protected override release(): void {
    this.#letGo(0n, U64_MAX);
    this.destroyAccess();
  }

  destroyAccess(): void {
    this.access.users--;
    this.access.context.objects.remove(this.access);
  }
}

function fileOf({ host }: IommufdContext, fd: number): AccessFile | undefined {
  const file = host.fds.get(fd);
  return file instanceof AccessFile ? file : undefined;
}

export function createAccess(
  context: IommufdContext,
  args: Args<'CREATE_ACCESS'>,
  reply: Reply<Test['CREATE_ACCESS']>,
): number {
  const { flags } = args.create_access;
  if (flags & ~MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES) return -errno.EOPNOTSUPP;
  const file = new AccessFile(context, (flags & MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES) !== 0);
  const attached = file.access.attach(args.id);
  const fd = attached === 0 ? context.host.fds.install(file) : -errno.ENOMEM;
  if (fd < 0) {
    file.destroyAccess();
    return attached || fd;
  }
  const error = reply({ ...args, create_access: { out_access_fd: fd, flags } });
  if (error !== 0) context.host.fds.close(fd);
  return error;
}

export function accessReplace(context: IommufdContext, args: Args<'ACCESS_REPLACE_IOAS'>): number {
  const file = fileOf(context, args.id);
  return file ? file.access.replace(args.access_replace_ioas.ioas_id) : -errno.EBADFD;
}

export function accessPages(
  context: IommufdContext,
  args: Args<'ACCESS_PAGES'>,
  reply: Reply<Test['ACCESS_PAGES']>,
): number {
  const { flags, iova, length, uptr } = args.access_pages;
  if (length > MAX_LENGTH) return -errno.ENOMEM;
  if (flags & ~(MOCK_FLAGS_ACCESS_WRITE | MOCK_FLAGS_ACCESS_SYZ)) return -errno.EOPNOTSUPP;
  const file = fileOf(context, args.id);
  if (!file) return -errno.EBADFD;
  if (!file.access.takesPages) return -errno.EOPNOTSUPP;
  const pages = file.access.pin(iova, length, (flags & MOCK_FLAGS_ACCESS_WRITE) !== 0);
  if (typeof pages === 'number') return pages;
  const wrong = uptr === 0n ? 0 : comparePages(context, uptr - (iova % PAGE), pages);
  if (wrong !== 0) {
    file.access.unpin(iova, length);
    return wrong;
  }
  const id = file.take(iova, length);
  const error = reply({ ...args, access_pages: { ...args.access_pages, out_access_pages_id: id } });
  if (error !== 0) file.give(id);
  return error;
}

/** Whether these are the pages that the process has at an address. */
function comparePages({ host }: IommufdContext, address: bigint, pages: readonly unknown[]): number {
  for (const [i, page] of pages.entries()) {
    const own = host.addressSpace.touch(address + BigInt(i) * PAGE, false, 'fast-gup');
    if (typeof own === 'number') return -errno.EFAULT;
    if (own !== page) return -errno.EBADE;
  }
  return 0;
}

export function destroyAccessPages(context: IommufdContext, args: Args<'DESTROY_ACCESS_PAGES'>): number {
  const file = fileOf(context, args.id);
  if (!file) return -errno.EBADFD;
  return file.give(args.destroy_access_pages.access_pages_id) ? 0 : -errno.ENOENT;
}

const RW_FLAGS = MOCK_ACCESS_RW_WRITE | MOCK_ACCESS_RW_SLOW_PATH | MOCK_FLAGS_ACCESS_SYZ;

export function accessRw(context: IommufdContext, args: Args<'ACCESS_RW'>): number {
  const { iova, length, uptr, flags } = args.access_rw;
  if (length > MAX_LENGTH) return -errno.ENOMEM;
  if (flags & ~RW_FLAGS) return -errno.EOPNOTSUPP;
  const file = fileOf(context, args.id);
  if (!file) return -errno.EBADFD;
  const write = (flags & MOCK_ACCESS_RW_WRITE) !== 0;
  const bytes = write ? context.read(uptr, Number(length)) : new Uint8Array(Number(length));
  if (!bytes) return -errno.EFAULT;
  const slow = (flags & MOCK_ACCESS_RW_SLOW_PATH) !== 0;
  let done = 0;
  const error = file.access.copy(iova, length, write, (part) => {
    const piece = bytes.subarray(done, done + Number(part.length));
    done += piece.length;
    const how = { write, slow, target: file.access.title, iova: part.from };
    return copyThrough(context.host, part.area.pages, part.area.byteAt(part.from), piece, how);
  });
  if (error !== 0) return error;
  return write || context.write(uptr, bytes) ? 0 : -errno.EFAULT;
}
