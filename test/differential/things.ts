/** What a world is made of: files, mappings, memslots, pins, by the names it gave them. */

export interface Vm {
  readonly kind: 'vm';
  readonly name: string;
  readonly type: number;
  /** By address space and id, as in the `slot` field. */
  readonly slots: Map<number, Slot>;
  /** A guest was put into it, in a slot of its own. */
  hasGuest: boolean;
}

export interface Gmem {
  readonly kind: 'gmem';
  readonly name: string;
  readonly vm: Vm;
  readonly pages: number;
  readonly flags: bigint;
}

export interface Memfd {
  readonly kind: 'memfd';
  readonly name: string;
  readonly pages: number;
}

export interface Vcpu {
  readonly kind: 'vcpu';
  readonly name: string;
  readonly vm: Vm;
}

export type FileObject = Vm | Gmem | Memfd | Vcpu;

export interface Fd {
  readonly name: string;
  readonly of: FileObject;
}

export interface Mapping {
  readonly name: string;
  /** Nothing: anonymous. */
  readonly of: Gmem | Memfd | undefined;
  readonly firstPage: number;
  readonly pages: number;
  readonly prot: number;
  live: boolean;
  /** A kernel may look for it at its address whenever it likes: it must stay there. */
  held?: boolean;
}

/** An address: in a mapping, or one where nothing of this process can ever be. */
export interface Place {
  readonly mapping: Mapping | undefined;
  /** From the mapping's start. */
  readonly offset: bigint;
}

export interface Slot {
  readonly id: number;
  readonly flags: number;
  readonly gpa: bigint;
  readonly pages: number;
  readonly memory: Place;
  readonly gmem: Gmem | undefined;
  readonly gmemPage: number;
}

export interface Pin {
  readonly name: string;
  readonly bytes: number;
}
