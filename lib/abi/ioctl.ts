/**
 * How an ioctl is declared: the kernel's _IO, _IOR, _IOW and _IOWR with the struct as a value.
 * Everything else (request number, encoder, decoder, field types, the mock's dispatch) follows from the declaration.
 */

import type { Fields, Struct, StructIn, StructOut } from './struct.ts';

/** What the fd of an ioctl is open on. Request numbers are only unique within one kind. */
export type FdKind =
  | 'system'
  | 'vm'
  | 'vcpu'
  | 'kvm-device'
  | 'guest-memfd'
  | 'iommufd'
  | 'vfio-container'
  | 'vfio-group'
  | 'vfio-device'
  | 'gup-test';

/** The kernels an ioctl is in, where that is not "every one that has its capability". */
export type Dialect = 'rfc-convert' | 'attributes2' | 'vm-attributes' | 'none';

export interface IoctlNotes {
  /** What a success answers: 0, a count or flag word, or a new fd that the caller now owns. */
  readonly returns?: 'zero' | 'number' | 'fd';
  /** The field of the struct (`a.b` in a struct in it) in which a success leaves a new fd that the caller now owns. */
  readonly newFd?: string;
  /** The capability that announces it, by the kernel's name. */
  readonly capability?: string;
  /** The first released kernel that has it. */
  readonly since?: string;
  /** The conversion ABI it belongs to. */
  readonly dialect?: Dialect;
  /** The size in the request number, where the header declares another type than the struct that is passed. */
  readonly declaredSize?: number;
}

interface Declared extends IoctlNotes {
  readonly on: readonly FdKind[];
  /** The 32-bit request number. */
  readonly request: number;
  readonly returns: 'zero' | 'number' | 'fd';
}

/** An ioctl whose argument is a plain integer, as _IO declares. */
export interface ValueIoctl extends Declared {
  readonly struct?: undefined;
}

/** An ioctl whose argument points to a struct. */
export interface StructIoctl<F extends Fields = Fields> extends Declared {
  readonly struct: Struct<F>;
  /** Whether the kernel reads the struct, writes it, or both. */
  readonly direction: 'in' | 'out' | 'inout';
}

// biome-ignore lint/suspicious/noExplicitAny: a table holds ioctls of every struct; the fields are recovered by inference.
export type Ioctl = ValueIoctl | StructIoctl<any>;

/** What may be passed for an ioctl: its struct's fields, or a number. */
export type IoctlIn<I extends Ioctl> = I extends StructIoctl<infer F> ? StructIn<F> : number | bigint;
/** What an ioctl leaves in its struct; nothing where it has none. */
export type IoctlOut<I extends Ioctl> = I extends StructIoctl<infer F> ? StructOut<F> : undefined;

const NRBITS = 8;
const TYPEBITS = 8;
const SIZEBITS = 14;
const WRITE = 1;
const READ = 2;

const TYPE_SHIFT = NRBITS;
const SIZE_SHIFT = NRBITS + TYPEBITS;
const DIR_SHIFT = SIZE_SHIFT + SIZEBITS;

/** _IOC(): include/uapi/asm-generic/ioctl.h. */
function requestNumber(direction: number, type: number, nr: number, size: number): number {
  return ((direction << DIR_SHIFT) | (size << SIZE_SHIFT) | (type << TYPE_SHIFT) | nr) >>> 0;
}

/** _IOC_SIZE(): how many bytes the kernel may read or write through the argument. */
export const requestSize = (request: number): number => (request >>> SIZE_SHIFT) & ((1 << SIZEBITS) - 1);
/** _IOC_TYPE() */
export const requestType = (request: number): number => (request >>> TYPE_SHIFT) & 0xff;
/** _IOC_NR() */
export const requestNr = (request: number): number => request & 0xff;

type On = FdKind | readonly FdKind[];

function declare(on: On, direction: number, type: number, nr: number, size: number, notes: IoctlNotes): Declared {
  return {
    returns: 'zero',
    ...notes,
    on: typeof on === 'string' ? [on] : on,
    request: requestNumber(direction, type, nr, notes.declaredSize ?? size),
  };
}

/** _IO: the argument is a number, or nothing (0). */
export function io(on: On, type: number, nr: number, notes: IoctlNotes = {}): ValueIoctl {
  return { ...declare(on, 0, type, nr, 0, notes) };
}

/**
 * _IO, although the argument points to a struct: iommufd and VFIO, whose numbers do not tell its size. The struct
 * does (`sized.ts`), but for two of them; see `size-prefixed.ts`.
 */
export function iop<const F extends Fields, S extends Struct<F>>(
  on: On,
  type: number,
  nr: number,
  arg: S & Struct<F>,
  notes: IoctlNotes = {},
): StructIoctl<F> & { readonly struct: S } {
  return { ...declare(on, 0, type, nr, 0, notes), struct: arg, direction: 'inout' };
}

/** _IOR: the kernel fills the struct. */
export function ior<const F extends Fields>(
  on: On,
  type: number,
  nr: number,
  arg: Struct<F>,
  notes: IoctlNotes = {},
): StructIoctl<F> {
  return { ...declare(on, READ, type, nr, arg.size, notes), struct: arg, direction: 'out' };
}

/** _IOW: the kernel reads the struct. */
export function iow<const F extends Fields>(
  on: On,
  type: number,
  nr: number,
  arg: Struct<F>,
  notes: IoctlNotes = {},
): StructIoctl<F> {
  return { ...declare(on, WRITE, type, nr, arg.size, notes), struct: arg, direction: 'in' };
}

/** _IOWR: the kernel reads the struct and may write it back. */
export function iowr<const F extends Fields>(
  on: On,
  type: number,
  nr: number,
  arg: Struct<F>,
  notes: IoctlNotes = {},
): StructIoctl<F> {
  return { ...declare(on, READ | WRITE, type, nr, arg.size, notes), struct: arg, direction: 'inout' };
}
