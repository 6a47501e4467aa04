/** guest_memfd memory as this process sees it. */

import { constants } from 'node:buffer';
import { errno } from '../abi/errno.ts';
import { checkBytes, checkInteger, outOfRange, tooSmall } from '../abi/invalid.ts';
import { PAGE_SIZE } from '../abi/linux.ts';
import {
  type Context,
  checkReleased,
  failed,
  Handle,
  KernelError,
  Resource,
  type Result,
  success,
  unwrap,
} from '../host/index.ts';

/** What is mapped where. */
export interface MappedRange {
  readonly address: bigint;
  readonly size: number;
  readonly fileOffset: bigint;
  readonly fileSize: bigint;
}

/** How much fill() copies at once. */
const CHUNK = 1 << 20;

/**
 * A shared mapping of a guest_memfd. Bytes are copied by the kernel, never by a load or store of JavaScript's: a page
 * that cannot be touched, because it is private or past the end, is an EFAULT and not a SIGBUS that ends the process.
 */
export class Mapping extends Resource<Handle> {
  /** Bytes. */
  readonly size: number;
  /** Where in the file it starts, in bytes. */
  readonly fileOffset: bigint;
  readonly #address: bigint;
  readonly #fileSize: bigint;

  constructor(context: Context, title: string, { address, size, fileOffset, fileSize }: MappedRange) {
    const { syscalls } = context;
    const release = async () => {
      const args = { address, length: size };
      checkReleased({ syscall: 'munmap', args }, await syscalls.munmap(address, size));
    };
    super(context, context.adopt(new Handle(title, release)));
    this.size = size;
    this.fileOffset = fileOffset;
    this.#address = address;
    this.#fileSize = fileSize;
  }

  /** Runs `work` with the address; the mapping stays that long. @internal */
  static use<T>(mapping: Mapping, work: (address: bigint) => Promise<T>): Promise<T> {
    return mapping.handle.use(() => work(mapping.#address));
  }

  /** Where it is in this process: what a memory region's userspaceAddr takes. @throws ClosedError */
  get address(): bigint {
    this.handle.checkOpen();
    return this.#address;
  }

  /**
   * Copies bytes out.
   *
   * @param offset Bytes from the start of the mapping.
   * @param length Bytes, at least 1.
   * @throws KernelError EFAULT when a page in the range cannot be touched: it is private, poisoned or past the end of
   *   the file. The message names the page; `completed` says how many bytes lie before it.
   * @throws RangeError when the range is not within the mapping.
   */
  async read(offset: number, length: number): Promise<Uint8Array> {
    return unwrap(await this.tryRead(offset, length));
  }

  /** As `read`, with the kernel's refusal as a value. */
  async tryRead(offset: number, length: number): Promise<Result<Uint8Array>> {
    this.#checkSpan(offset, length);
    const { syscalls } = this.context;
    return await this.handle.use(async () => {
      const bytes = new Uint8Array(length);
      const copied = await syscalls.copyOut(this.#address + BigInt(offset), bytes);
      return copied === length ? success(bytes) : this.#stopped('copyOut', offset, length, copied);
    });
  }

  /**
   * Copies bytes in.
   *
   * @param offset Bytes from the start of the mapping.
   * @throws KernelError EFAULT as for `read`; what lies before the page has been written then.
   * @throws RangeError when the bytes would not fit, or there are none.
   */
  async write(offset: number, bytes: Uint8Array): Promise<void> {
    unwrap(await this.tryWrite(offset, bytes));
  }

  /** As `write`, with the kernel's refusal as a value. */
  async tryWrite(offset: number, bytes: Uint8Array): Promise<Result<void>> {
    checkBytes('bytes', bytes);
    if (bytes.byteLength === 0) throw tooSmall('bytes', 1, 0);
    this.#checkSpan(offset, bytes.byteLength);
    return await this.handle.use(() => this.#copyIn(offset, bytes));
  }

  /**
   * Writes one byte value over a range.
   *
   * @param length Bytes, at least 1.
   * @param byte From 0 to 255.
   * @throws as `write`
   */
  async fill(offset: number, length: number, byte: number): Promise<void> {
    unwrap(await this.tryFill(offset, length, byte));
  }

  /** As `fill`, with the kernel's refusal as a value. */
  async tryFill(offset: number, length: number, byte: number): Promise<Result<void>> {
    this.#checkSpan(offset, length, Number.MAX_SAFE_INTEGER);
    checkInteger('byte', byte, 0, 0xff);
    return await this.handle.use(async () => {
      const chunk = new Uint8Array(Math.min(length, CHUNK)).fill(byte);
      for (let done = 0; done < length; done += chunk.byteLength) {
        const part = await this.#copyIn(offset + done, chunk.subarray(0, length - done), done);
        if (!part.ok) return part;
      }
      return success(undefined);
    });
  }

  async #copyIn(offset: number, bytes: Uint8Array, before = 0): Promise<Result<void>> {
    const copied = await this.context.syscalls.copyIn(this.#address + BigInt(offset), bytes);
    const { byteLength } = bytes;
    return copied === byteLength ? success(undefined) : this.#stopped('copyIn', offset, byteLength, copied, before);
  }

  #checkSpan(offset: number, length: number, max: number = constants.MAX_LENGTH): void {
    checkInteger('offset', offset, 0, this.size - 1);
    checkInteger('length', length, 1, max);
    if (offset + length > this.size) {
      throw outOfRange('offset and length', `within the ${this.size} bytes of the mapping`, { offset, length });
    }
  }

  /** `copied`: how far it got, or -errno. A short copy is an EFAULT whose first bytes went well. */
  #stopped(syscall: string, offset: number, length: number, copied: number, before = 0): Result<never> {
    const done = Math.max(copied, 0);
    const answer = copied < 0 ? copied : -errno.EFAULT;
    const args = { offset, length, fileOffset: this.fileOffset + BigInt(offset) };
    const call = { syscall, args, completed: before + done };
    return failed(
      new KernelError(answer === -errno.EFAULT ? { ...call, hint: this.#blame(offset + done) } : call, answer),
    );
  }

  #blame(at: number): string {
    const page = at - (at % PAGE_SIZE);
    const inFile = this.fileOffset + BigInt(page);
    const where = `the page at 0x${page.toString(16)} of the mapping (file offset 0x${inFile.toString(16)})`;
    return inFile >= this.#fileSize
      ? `${where} is past the end of the file, which has 0x${this.#fileSize.toString(16)} bytes`
      : `${where} cannot be touched: it is private, or poisoned, or the mapping's protection forbids it`;
  }
}
