/**
 * IOMMU_TEST_CMD, for tests: mock devices that bring mock domains into being, and what iommufd did in them. For kernels
 * with CONFIG_IOMMUFD_TEST, and no others.
 */

import { checkBigint, checkBytes, checkInteger, U64_MAX, wrongType } from '../abi/invalid.ts';
import type { Ioctl, IoctlOut } from '../abi/ioctl.ts';
import {
  iommuTest,
  MOCK_ACCESS_RW_SLOW_PATH,
  MOCK_ACCESS_RW_WRITE,
  MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
  MOCK_FLAGS_ACCESS_WRITE,
} from '../abi/iommufd-test.ts';
import {
  type IoctlOutcome,
  issue,
  prepareIoctl,
  type RawArg,
  Resource,
  type Result,
  success,
  unwrap,
} from '../host/index.ts';
import { Hwpt } from './hwpt.ts';
import { Ioas } from './ioas.ts';
import { handleOf, IommufdObject } from './object.ts';
import { checkIovaRange, type IovaRange } from './options.ts';
import type { IommufdState, ObjectHandle } from './state.ts';

const U32_MAX = 0xffff_ffff;

/** A device without hardware, attached to a mock domain. Destroying it detaches it. */
export class MockDevice extends IommufdObject {
  /** The page table it is attached to. */
  readonly hwptId: number;
  /** Its number as a device: what `iommufd.hwInfo()` and `allocHwpt()` take. */
  readonly deviceId: number;

  constructor(
    ...args: [...ConstructorParameters<typeof Resource<ObjectHandle>>, { hwptId: number; deviceId: number }]
  ) {
    super(args[0], args[1]);
    this.hwptId = args[2].hwptId;
    this.deviceId = args[2].deviceId;
  }

  /** Attaches it to another IOAS or page table, in one step. @throws KernelError */
  async replace(target: Ioas | Hwpt): Promise<void> {
    unwrap(await this.tryReplace(target));
  }

  /** As `replace`, with the kernel's refusal as a value. */
  async tryReplace(target: Ioas | Hwpt): Promise<Result<void>> {
    const pt_id = checkTarget(target).id;
    const args = { id: this.id, mock_domain_replace: { pt_id } };
    const outcome = await this.ask(iommuTest.MOCK_DOMAIN_REPLACE, args);
    return outcome.ok ? success(undefined) : outcome;
  }
}

function checkTarget(target: Ioas | Hwpt): ObjectHandle {
  if (!(target instanceof Ioas) && !(target instanceof Hwpt)) throw wrongType('target', 'an Ioas or a Hwpt', target);
  return handleOf(target);
}

export class IommufdTest {
  readonly #state: IommufdState;

  constructor(state: IommufdState) {
    this.#state = state;
  }

  /** A mock device, attached to the IOAS or page table. @throws KernelError as attaching any device */
  async mockDevice(target: Ioas | Hwpt): Promise<MockDevice> {
    return unwrap(await this.tryMockDevice(target));
  }

  /** As `mockDevice`, with the kernel's refusal as a value. */
  async tryMockDevice(target: Ioas | Hwpt): Promise<Result<MockDevice>> {
    const handle = checkTarget(target);
    return await handle.use(async () => {
      const outcome = await this.#ask(iommuTest.MOCK_DOMAIN, { id: handle.id });
      if (!outcome.ok) return outcome;
      const { out_stdev_id, out_hwpt_id, out_idev_id } = outcome.out.mock_domain;
      const owned = this.#state.own('MockDevice', out_stdev_id);
      return success(new MockDevice(this.#state.context, owned, { hwptId: out_hwpt_id, deviceId: out_idev_id }));
    });
  }

  /** Keeps a range of an IOAS from being mapped; only where nothing is attached or mapped. @throws KernelError */
  async addReserved(ioas: Ioas, range: IovaRange): Promise<void> {
    const { iova: start, length } = checkIovaRange('range', range);
    const { id } = checkTarget(ioas);
    unwrap(done(await this.#ask(iommuTest.ADD_RESERVED, { id, add_reserved: { start, length } })));
  }

  /** Whether the mock domain has exactly the pages of this memory at this range: EINVAL when not. */
  async tryCheckMap(hwptId: number, range: IovaRange, address: bigint): Promise<Result<void>> {
    const { iova, length } = checkIovaRange('range', range);
    const uptr = checkBigint('address', address, 0n, U64_MAX);
    const id = checkInteger('hwptId', hwptId, 0, U32_MAX);
    return done(await this.#ask(iommuTest.MD_CHECK_MAP, { id, check_map: { iova, length, uptr } }));
  }

  /** Whether each page of this memory is pinned so many times: EIO when not. */
  async tryCheckRefs(hwptId: number, address: bigint, length: number, refs: number): Promise<Result<void>> {
    const check_refs = {
      length: checkBigint('length', length, 1n, U64_MAX),
      uptr: checkBigint('address', address, 0n, U64_MAX),
      refs: checkInteger('refs', refs, 0, U32_MAX),
    };
    const id = checkInteger('hwptId', hwptId, 0, U32_MAX);
    return done(await this.#ask(iommuTest.MD_CHECK_REFS, { id, check_refs }));
  }

  /** Marks pages of a mock domain as written to by a device, by a bitmap. @returns how many were clean before */
  async tryDirty(hwptId: number, range: IovaRange, pageSize: number, bitmap: Uint8Array): Promise<Result<bigint>> {
    const { iova, length } = checkIovaRange('range', range);
    const page_size = checkBigint('pageSize', pageSize, 1n, U64_MAX);
    const dirty = { iova, length, page_size, uptr: checkBytes('bitmap', bitmap) };
    const id = checkInteger('hwptId', hwptId, 0, U32_MAX);
    const outcome = await this.#ask(iommuTest.DIRTY, { id, dirty });
    return outcome.ok ? success(outcome.out.dirty.out_nr_dirty) : outcome;
  }

  /** How many bytes iommufd may use for lists of pages; 0: as many as it likes. */
  async setMemoryLimit(limit: number): Promise<void> {
    const memory_limit = { limit: checkInteger('limit', limit, 0, U32_MAX) };
    unwrap(done(await this.#ask(iommuTest.SET_TEMP_MEMORY_LIMIT, { memory_limit })));
  }

  /** An access: in-kernel code that reads, writes and pins what is mapped in an IOAS. @throws KernelError */
  async access(ioas: Ioas, { pins = false }: { readonly pins?: boolean } = {}): Promise<MockAccess> {
    const flags = pins ? MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES : 0;
    const { id } = checkTarget(ioas);
    const outcome = await this.#ask(iommuTest.CREATE_ACCESS, { id, create_access: { flags } });
    if (!outcome.ok) throw outcome.error;
    const fd = outcome.out.create_access.out_access_fd;
    return new MockAccess(this.#state, this.#state.context.own('MockAccess', fd), fd);
  }

  async #ask<I extends Ioctl>(ioctl: I, args: RawArg<I>): Promise<IoctlOutcome<IoctlOut<I>>> {
    return await askOn(this.#state, ioctl, args);
  }
}

async function askOn<I extends Ioctl>(
  { context, file }: IommufdState,
  ioctl: I,
  args: RawArg<I>,
): Promise<IoctlOutcome<IoctlOut<I>>> {
  return await file.use(() => issue(context.syscalls, file.number, prepareIoctl(file.number, ioctl, args)));
}

const done = (outcome: IoctlOutcome<unknown>): Result<void> => (outcome.ok ? success(undefined) : outcome);

export interface TransferOptions {
  /**
   * Goes through the pages that devices have pinned, where they have, as DMA does: true of files, and of memory by its
   * address where more than one page is transferred. Otherwise a page is looked up anew by its address, and after a
   * truncation is another one. Source: iopt_pages_rw_access(), drivers/iommu/iommufd/pages.c.
   */
  readonly pinned?: boolean;
}

const slowly = (pinned: boolean): number => (pinned ? MOCK_ACCESS_RW_SLOW_PATH : 0);

/** A file of its own; its number is what the operations take for an id. */
export class MockAccess extends Resource {
  readonly #state: IommufdState;
  readonly #fd: number;

  constructor(state: IommufdState, handle: ReturnType<IommufdState['context']['own']>, fd: number) {
    super(state.context, handle);
    this.#state = state;
    this.#fd = fd;
  }

  /** Reads as much as the buffer holds. */
  async tryRead(iova: bigint, bytes: Uint8Array, { pinned = false }: TransferOptions = {}): Promise<Result<void>> {
    return await this.#transfer(iova, bytes, slowly(pinned));
  }

  async tryWrite(iova: bigint, bytes: Uint8Array, { pinned = false }: TransferOptions = {}): Promise<Result<void>> {
    return await this.#transfer(iova, bytes, MOCK_ACCESS_RW_WRITE | slowly(pinned));
  }

  /** Pins a range; the answer is a number for `tryUnpin`. `address` is the memory that must be there. */
  async tryPin(range: IovaRange, address: bigint, { write = false } = {}): Promise<Result<number>> {
    const { iova, length } = checkIovaRange('range', range);
    const uptr = checkBigint('address', address, 0n, U64_MAX);
    const access_pages = { flags: write ? MOCK_FLAGS_ACCESS_WRITE : 0, iova, length, uptr };
    const outcome = await this.#ask(iommuTest.ACCESS_PAGES, { id: this.#fd, access_pages });
    return outcome.ok ? success(outcome.out.access_pages.out_access_pages_id) : outcome;
  }

  async tryUnpin(pin: number): Promise<Result<void>> {
    const access_pages_id = checkInteger('pin', pin, 0, U32_MAX);
    return done(
      await this.#ask(iommuTest.DESTROY_ACCESS_PAGES, { id: this.#fd, destroy_access_pages: { access_pages_id } }),
    );
  }

  async #transfer(iova: bigint, bytes: Uint8Array, flags: number): Promise<Result<void>> {
    const uptr = checkBytes('bytes', bytes);
    const at = checkBigint('iova', iova, 0n, U64_MAX);
    const access_rw = { iova: at, length: BigInt(bytes.byteLength), uptr, flags };
    return done(await this.#ask(iommuTest.ACCESS_RW, { id: this.#fd, access_rw }));
  }

  async #ask<I extends Ioctl>(ioctl: I, args: RawArg<I>): Promise<IoctlOutcome<IoctlOut<I>>> {
    return await this.handle.use(() => askOn(this.#state, ioctl, args));
  }
}
