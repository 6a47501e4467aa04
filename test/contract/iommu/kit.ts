/** A scenario of calls on one backend, and what could be seen of each: lines that two backends are compared by. */

import { errnoName } from '../../../lib/abi/errno.ts';
import type { Ioctl, IoctlIn, IoctlOut, StructIoctl } from '../../../lib/abi/ioctl.ts';
import {
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  MAP_SHARED,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  PROT_READ,
  PROT_WRITE,
} from '../../../lib/abi/linux.ts';
import { pointersIn } from '../../../lib/abi/pointer.ts';
import type { Syscalls } from '../../../lib/syscalls/seam.ts';

export const PAGE = 4096;
export const RW = PROT_READ | PROT_WRITE;

// biome-ignore lint/suspicious/noExplicitAny: any struct's fields.
type AnyStruct = StructIoctl<any>;

interface MapOptions {
  readonly prot?: number;
  /** Anonymous memory without one. */
  readonly fd?: number;
  readonly offset?: number;
}

export interface Scenario {
  readonly name: string;
  run(kit: Kit): void;
}

const nameOf = (result: number): string => (result < 0 ? (errnoName(result) ?? String(result)) : String(result));
const show = (value: unknown): string =>
  typeof value === 'bigint'
    ? `0x${value.toString(16)}`
    : Array.isArray(value)
      ? `[${value.map(show).join(' ')}]`
      : typeof value === 'object' && value !== null
        ? `{${Object.entries(value)
            .map(([name, inner]) => `${name}=${show(inner)}`)
            .join(' ')}}`
        : String(value);

export class Kit {
  readonly syscalls: Syscalls;
  readonly lines: string[] = [];
  readonly #fds: number[] = [];
  readonly #mappings: { address: bigint; length: number }[] = [];

  constructor(syscalls: Syscalls) {
    this.syscalls = syscalls;
  }

  log(what: string, seen: string | number): void {
    this.lines.push(`${what}: ${typeof seen === 'number' ? nameOf(seen) : seen}`);
  }

  /** An fd, whose number is nobody's business. */
  open(path: string): number {
    const fd = this.syscalls.openSync(path, O_RDWR);
    this.log(`open ${path}`, fd < 0 ? fd : 'fd');
    if (fd >= 0) this.#fds.push(fd);
    return fd;
  }

  keep(fd: number): number {
    if (fd >= 0) this.#fds.push(fd);
    return fd;
  }

  close(fd: number): void {
    this.log('close', this.syscalls.closeSync(fd));
    this.#fds.splice(this.#fds.indexOf(fd), 1);
  }

  memfd(bytes: number): number {
    const fd = this.keep(this.syscalls.memfdCreateSync('contract', 0));
    this.syscalls.ftruncateSync(fd, BigInt(bytes));
    return fd;
  }

  /** Memory of the process: of a file, or anonymous. */
  map(pages: number, { prot = RW, fd = -1, offset = 0 }: MapOptions = {}): bigint {
    const flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    const address = this.syscalls.mmapSync(pages * PAGE, prot, flags, fd, BigInt(offset));
    if (address < 0n) throw new Error(`mmap: ${nameOf(Number(address))}`);
    this.#mappings.push({ address, length: pages * PAGE });
    return address;
  }

  unmap(address: bigint): void {
    const at = this.#mappings.findIndex((mapping) => mapping.address === address);
    const [mapping] = this.#mappings.splice(at, 1);
    this.syscalls.munmapSync(address, mapping!.length);
  }

  /** Issues a request and logs its answer with these fields of the struct. */
  call<I extends AnyStruct>(
    what: string,
    fd: number,
    ioctl: I,
    args: IoctlIn<I>,
    fields: readonly string[] = [],
  ): { result: number; out: IoctlOut<I>; bytes: Uint8Array } {
    const bytes = ioctl.struct.encode(args as object);
    const pointers = pointersIn(ioctl.struct, args as object);
    return this.issue(what, fd, ioctl, bytes, fields, pointers);
  }

  /** The same with the bytes as they are. */
  issue<I extends AnyStruct>(
    what: string,
    fd: number,
    ioctl: I,
    bytes: Uint8Array,
    fields: readonly string[] = [],
    pointers: ReturnType<typeof pointersIn> = [],
  ): { result: number; out: IoctlOut<I>; bytes: Uint8Array } {
    const result = this.syscalls.ioctlSync(fd, ioctl.request, bytes, pointers);
    const padded = new Uint8Array(Math.max(bytes.length, ioctl.struct.size));
    padded.set(bytes);
    const out = ioctl.struct.decode(padded) as Record<string, unknown>;
    const seen = fields.map((field) => ` ${field}=${show(field.split('.').reduce<unknown>(member, out))}`).join('');
    this.log(what, `${ioctl.returns === 'fd' && result >= 0 ? 'fd' : nameOf(result)}${seen}`);
    return { result, out: out as IoctlOut<I>, bytes };
  }

  /** A request with a plain number. */
  value(what: string, fd: number, ioctl: Ioctl, value = 0): number {
    const result = this.syscalls.ioctlSync(fd, ioctl.request, value);
    this.log(what, result);
    return result;
  }

  bytes(what: string, bytes: Uint8Array): void {
    this.log(what, Buffer.from(bytes).toString('hex'));
  }

  /** What a small file says. */
  text(path: string): void {
    const fd = this.syscalls.openSync(path, O_RDONLY);
    if (fd < 0) {
      this.log(`read ${path}`, fd);
      return;
    }
    const bytes = new Uint8Array(4096);
    const length = this.syscalls.readSync(fd, bytes);
    this.log(`read ${path}`, length < 0 ? length : JSON.stringify(Buffer.from(bytes.subarray(0, length)).toString()));
    this.syscalls.closeSync(fd);
  }

  writeText(path: string, text: string): void {
    const fd = this.syscalls.openSync(path, O_WRONLY);
    const result = fd < 0 ? fd : this.syscalls.writeSync(fd, Buffer.from(text));
    this.log(`write ${JSON.stringify(text)} to ${path}`, result < 0 ? result : 'all');
    if (fd >= 0) this.syscalls.closeSync(fd);
  }

  link(path: string): void {
    this.log(`link ${path}`, this.syscalls.readLinkSync(path));
  }

  /** Reads a file at an offset, and shows the bytes. */
  pread(what: string, fd: number, at: bigint, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    const result = this.syscalls.preadSync(fd, bytes, at);
    this.log(what, result < 0 ? result : `${result} ${Buffer.from(bytes).toString('hex')}`);
    return bytes;
  }

  pwrite(what: string, fd: number, at: bigint, bytes: Uint8Array): void {
    this.log(what, this.syscalls.pwriteSync(fd, bytes, at));
  }

  fill(address: bigint, bytes: number, value: number): void {
    this.syscalls.copyInSync(address, new Uint8Array(bytes).fill(value));
  }

  /** The first byte at an address. */
  peek(what: string, address: bigint): void {
    const byte = new Uint8Array(1);
    const result = this.syscalls.copyOutSync(address, byte);
    this.log(what, result < 0 ? result : byte[0]!);
  }

  end(): void {
    for (const fd of this.#fds.splice(0).reverse()) this.syscalls.closeSync(fd);
    for (const { address, length } of this.#mappings.splice(0)) this.syscalls.munmapSync(address, length);
  }
}

const member = (value: unknown, name: string): unknown => (value as Record<string, unknown>)?.[name];

/** What a scenario shows of a backend, line by line. */
export function runScenario(syscalls: Syscalls, { name, run }: Scenario): string[] {
  const kit = new Kit(syscalls);
  try {
    run(kit);
  } catch (error) {
    kit.log('threw', String(error));
  } finally {
    kit.end();
  }
  return kit.lines.map((line) => `${name} / ${line}`);
}
