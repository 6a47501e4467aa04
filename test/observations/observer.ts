/**
 * The calls of a table, made on the mock: what observe.c does on a real kernel.
 *
 * A line is `verb argument... => answer`. What makes something gives it a name; arguments are numbers, names, NAME+OFFSET
 * for an address in a mapping, and NAME=VALUE for what may be left out. An answer is a number or an errno, `ok` for what
 * has no number that is always the same, and what else there is to say. A section (##) begins with nothing.
 */

import {
  errnoName,
  IOMMU_IOAS_ALLOC,
  IOMMU_IOAS_MAP,
  iommuTest,
  KVM_CHECK_EXTENSION,
  KVM_CREATE_GUEST_MEMFD,
  KVM_CREATE_VCPU,
  KVM_CREATE_VM,
  KVM_GMEM_CONVERT_PRIVATE,
  KVM_GMEM_CONVERT_SHARED,
  KVM_PRE_FAULT_MEMORY,
  KVM_SET_MEMORY_ATTRIBUTES,
  KVM_SET_USER_MEMORY_REGION2,
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  MAP_SHARED,
  O_RDWR,
  PROT_READ,
  PROT_WRITE,
} from '../../lib/abi/index.ts';
import { createMock, type GuestExit, type Pin } from '../../lib/mock/index.ts';

interface Thing {
  fd?: number;
  /** A mapping: where, of which file and from where in it, and whether it can be written. */
  address?: bigint;
  length?: number;
  file?: number;
  from?: bigint;
  writable?: boolean;
  pin?: Pin;
  vcpu?: number;
}

/** Nothing of the kind can be done on a mock. */
const NOT_HERE = Symbol('not on the mock');
type Answer = string | typeof NOT_HERE;
const RW = PROT_READ | PROT_WRITE;
const nameOf = (error: number): string => errnoName(error) ?? `errno ${-error}`;
const hex = (value: bigint): string => `0x${value.toString(16)}`;

/** What a section's lines have made, and the verbs. */
export class Observer {
  readonly #mock;
  readonly #things = new Map<string, Thing>();

  constructor(options: Parameters<typeof createMock>[0]) {
    this.#mock = createMock(options);
    this.#things.set('kvm', { fd: this.#calls.openSync('/dev/kvm', O_RDWR) });
  }

  get #calls() {
    return this.#mock.syscalls;
  }

  /** Undefined where a mock cannot make the call. */
  observe(call: string): string | undefined {
    const [verb = '', ...words] = call.split(/\s+/);
    const make = this.#verbs[verb];
    if (!make) throw new Error(`no such verb: ${verb}`);
    const options = Object.fromEntries(words.filter((word) => word.includes('=')).map((word) => word.split('=')));
    const answer = make(
      words.filter((word) => !word.includes('=')),
      options,
    );
    return answer === NOT_HERE ? undefined : answer;
  }

  close(): void {
    for (const { pin } of this.#things.values()) pin?.release();
    this.#calls.dispose();
  }

  #find(name = ''): Thing {
    const thing = this.#things.get(name);
    if (!thing) throw new Error(`nothing is called ${name}`);
    return thing;
  }

  #fd(name?: string): number {
    return this.#find(name).fd!;
  }

  /** A number, or an address in a mapping. */
  #number(text = '0'): bigint {
    if (text.startsWith('-')) return BigInt.asUintN(64, BigInt(text));
    if (/^\d/.test(text)) return BigInt(text);
    const [name, offset = '0'] = text.split('+');
    return this.#find(name).address! + BigInt(offset);
  }

  #result(value: number): string {
    return value < 0 ? nameOf(value) : String(value);
  }

  #make(name: string, value: number, thing: Thing = { fd: value }): string {
    this.#things.set(name, thing);
    return value < 0 ? nameOf(value) : 'ok';
  }

  #convert(
    { request, struct }: typeof KVM_GMEM_CONVERT_SHARED,
    words: string[],
    options: Record<string, string>,
  ): string {
    const [name, offset, size] = words;
    const before = struct.encode({
      offset: this.#number(offset),
      size: this.#number(size),
      error_offset: this.#number(options['error_offset']),
      reserved: new Array(5).fill(this.#number(options['reserved'])),
    });
    const after = before.slice();
    const answer = [this.#result(this.#calls.ioctlSync(this.#fd(name), request, after))];
    const [was, is] = [struct.decode(before), struct.decode(after)];
    if (is.error_offset !== was.error_offset) answer.push(`error_offset=${hex(is.error_offset)}`);
    if (!Buffer.from(before).equals(struct.encode({ ...is, error_offset: was.error_offset }))) answer.push('and more');
    return answer.join(' ');
  }

  /** The struct is in memory that can be read only. */
  #convertReadOnly([name, offset, size]: string[], options: Record<string, string>): string {
    const { request, struct } = KVM_GMEM_CONVERT_PRIVATE;
    const error_offset = this.#number(options['error_offset']);
    const file = this.#calls.memfdCreateSync('struct', 0);
    this.#calls.pwriteSync(
      file,
      struct.encode({ offset: this.#number(offset), size: this.#number(size), error_offset }),
      0n,
    );
    const address = this.#calls.mmapSync(4096, PROT_READ, MAP_SHARED, file, 0n);
    return this.#result(this.#calls.ioctlSync(this.#fd(name), request, { address }));
  }

  #map([name = '', file, from, length, prot, flags]: string[]): string {
    const fd = this.#fd(file);
    const protection = prot === undefined ? RW : Number(prot);
    const size = Number(this.#number(length));
    const address = this.#calls.mmapSync(
      size,
      protection,
      flags === undefined ? MAP_SHARED : Number(flags),
      fd,
      this.#number(from),
    );
    const thing = {
      address,
      length: size,
      file: fd,
      from: this.#number(from),
      writable: (protection & PROT_WRITE) !== 0,
    };
    return this.#make(name, Number(address < 0n ? address : 0n), thing);
  }

  /** Of a signal there is only an errno here; which one it would be the mapping tells. */
  #touch([name, offset, value]: string[]): string {
    const { address, writable } = this.#find(name);
    const at = address! + this.#number(offset);
    const byte = new Uint8Array(1);
    if (value === undefined) return this.#calls.copyOutSync(at, byte) < 0 ? 'SIGBUS' : String(byte[0]);
    if (this.#calls.copyInSync(at, Uint8Array.of(Number(value))) >= 0) return 'ok';
    return writable ? 'SIGBUS' : 'SIGSEGV';
  }

  #childLoads([name, offset]: string[]): string {
    using child = this.#mock.controls.fork();
    const byte = new Uint8Array(1);
    return child.read(this.#number(`${name}+${offset}`), byte) < 0 ? 'SIGBUS' : String(byte[0]);
  }

  #pin([name = '', where = '', length]: string[]): string {
    const { file, from, address } = this.#find(where.split('+')[0]);
    const offset = from! + this.#number(where) - address!;
    try {
      return this.#make(name, 0, { pin: this.#mock.controls.pin(file!, offset, Number(length)) }) && '0';
    } catch (error) {
      return (error as NodeJS.ErrnoException).code!;
    }
  }

  /** The page table of a mock device: a software IOMMU's inside a mocked kernel. */
  #iommu([name = '', where, length]: string[]): string {
    const fd = this.#calls.openSync('/dev/iommu', O_RDWR);
    this.#things.set(name, { fd });
    const run = <A extends { request: number; struct: { encode(fields: never): Uint8Array } }>(
      { request, struct }: A,
      fields: object,
    ) => {
      const bytes = struct.encode(fields as never);
      return { result: this.#calls.ioctlSync(fd, request, bytes), bytes };
    };
    const { out_ioas_id } = IOMMU_IOAS_ALLOC.struct.decode(run(IOMMU_IOAS_ALLOC, {}).bytes);
    run(iommuTest.MOCK_DOMAIN, { id: out_ioas_id });
    const user_va = this.#number(where);
    const range = { flags: 7, ioas_id: out_ioas_id, user_va, length: this.#number(length), iova: 1n << 24n };
    return this.#result(run(IOMMU_IOAS_MAP, range).result);
  }

  #slot([vm, id, gpa, size, file]: string[], options: Record<string, string>): string {
    const { request, struct } = KVM_SET_USER_MEMORY_REGION2;
    const region = struct.encode({
      slot: Number(id),
      flags: Number(options['flags'] ?? 0),
      guest_phys_addr: this.#number(gpa),
      memory_size: this.#number(size),
      userspace_addr: this.#number(options['at']),
      guest_memfd: file === undefined ? Number(options['fd'] ?? 0) : this.#fd(file),
      guest_memfd_offset: this.#number(options['offset']),
    });
    return this.#result(this.#calls.ioctlSync(this.#fd(vm), request, region));
  }

  #prefault([name, gpa, size]: string[]): string {
    const vm = this.#find(name);
    vm.vcpu ??= this.#calls.ioctlSync(vm.fd!, KVM_CREATE_VCPU.request, 0);
    const { request, struct } = KVM_PRE_FAULT_MEMORY;
    const bytes = struct.encode({ gpa: this.#number(gpa), size: this.#number(size) });
    const result = this.#calls.ioctlSync(vm.vcpu, request, bytes);
    const left = struct.decode(bytes);
    return `${this.#result(result)} ${hex(left.gpa)}+${hex(left.size)}`;
  }

  #guest([vm, gpa, value]: string[]): string {
    const guest = this.#mock.controls.guest(this.#fd(vm));
    const at = this.#number(gpa);
    if (value === undefined) {
      const read = guest.read(at, 1);
      return read.ok ? String(read.bytes[0]) : exitText(read.exit);
    }
    const written = guest.write(at, Uint8Array.of(Number(value)));
    return written.ok ? value : exitText(written.exit);
  }

  readonly #verbs: Readonly<Record<string, (words: string[], options: Record<string, string>) => Answer>> = {
    vm: ([name = '', type]) =>
      this.#make(name, this.#calls.ioctlSync(this.#fd('kvm'), KVM_CREATE_VM.request, Number(type))),
    gmem: ([name = '', vm, size, flags], options) => {
      const { request, struct } = KVM_CREATE_GUEST_MEMFD;
      const reserved = new Array(6).fill(this.#number(options['reserved']));
      const bytes = struct.encode({ size: this.#number(size), flags: this.#number(flags), reserved });
      return this.#make(name, this.#calls.ioctlSync(this.#fd(vm), request, bytes));
    },
    capability: ([name, number]) =>
      this.#result(this.#calls.ioctlSync(this.#fd(name), KVM_CHECK_EXTENSION.request, Number(number))),
    shared: (words, options) => this.#convert(KVM_GMEM_CONVERT_SHARED, words, options),
    private: (words, options) => this.#convert(KVM_GMEM_CONVERT_PRIVATE, words, options),
    'private-read-only': (words, options) => this.#convertReadOnly(words, options),
    'private-nowhere': ([name]) =>
      this.#result(this.#calls.ioctlSync(this.#fd(name), KVM_GMEM_CONVERT_PRIVATE.request, 0)),
    request: ([name, number]) =>
      this.#result(this.#calls.ioctlSync(this.#fd(name), Number(number), new Uint8Array(512))),
    map: (words) => this.#map(words),
    anonymous: ([name = '', length]) => {
      const address = this.#calls.mmapSync(Number(length), RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0n);
      return this.#make(name, 0, { address, length: Number(length), writable: true });
    },
    unmap: ([name]) => {
      const { address, length } = this.#find(name);
      return this.#result(this.#calls.munmapSync(address!, length!));
    },
    memfd: ([name = '', size]) => {
      const fd = this.#calls.memfdCreateSync(name, 0);
      this.#calls.ftruncateSync(fd, this.#number(size));
      return this.#make(name, fd);
    },
    copy: ([name = '', of]) => this.#make(name, this.#calls.dupSync(this.#fd(of))),
    close: ([name]) => {
      const { fd, pin } = this.#find(name);
      pin?.release();
      return pin ? '0' : this.#result(this.#calls.closeSync(fd!));
    },
    load: (words) => this.#touch(words),
    store: (words) => this.#touch(words),
    'child-loads': (words) => this.#childLoads(words),
    'kernel-reads': () => NOT_HERE,
    'kernel-writes': () => NOT_HERE,
    'another-process-reads': () => NOT_HERE,
    'proc-mem-reads': () => NOT_HERE,
    lock: () => NOT_HERE,
    advise: ([name, offset, length, advice]) =>
      this.#result(this.#calls.madviseSync(this.#number(`${name}+${offset}`), Number(length), Number(advice))),
    allocate: ([name, mode, offset = '', length = '']) =>
      this.#result(this.#calls.fallocateSync(this.#fd(name), Number(mode), BigInt(offset), BigInt(length))),
    truncate: ([name, size]) => this.#result(this.#calls.ftruncateSync(this.#fd(name), this.#number(size))),
    pread: ([name]) => this.#result(this.#calls.preadSync(this.#fd(name), new Uint8Array(1), 0n)),
    pwrite: ([name]) => this.#result(this.#calls.pwriteSync(this.#fd(name), new Uint8Array(1), 0n)),
    status: ([name]) => {
      const found = this.#calls.fstatSync(this.#fd(name));
      return typeof found === 'number' ? nameOf(found) : `size=${hex(found.size)} blocks=${found.blocks}`;
    },
    pin: (words) => this.#pin(words),
    splice: (words) => this.#pin(words),
    iommu: (words) => this.#iommu(words),
    slot: (words, options) => this.#slot(words, options),
    attributes: ([vm, address, size, attributes]) => {
      const { request, struct } = KVM_SET_MEMORY_ATTRIBUTES;
      const fields = { address: this.#number(address), size: this.#number(size), attributes: this.#number(attributes) };
      return this.#result(this.#calls.ioctlSync(this.#fd(vm), request, struct.encode(fields)));
    },
    'guest-reads': (words) => this.#guest(words),
    'guest-writes': (words) => this.#guest(words),
    prefault: (words) => this.#prefault(words),
  };
}

function exitText(exit: GuestExit): string {
  switch (exit.reason) {
    case 'mmio':
      return `mmio ${hex(exit.gpa)}`;
    case 'memory-fault':
      return `${nameOf(exit.errno)} memory fault ${hex(exit.gpa)}+${hex(exit.size)} flags ${exit.flags}`;
    default:
      return exit.reason;
  }
}
