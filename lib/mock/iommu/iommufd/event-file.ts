/** The fd of a queue of events. It keeps its queue and its iommufd. */

import { PAGE_SIZE } from '../../../abi/linux.ts';
import type { Stat } from '../../../syscalls/seam.ts';
import { MockFile } from '../../process/index.ts';
import type { IommufdContext } from './context.ts';

/** A queue as its fd has it. */
export interface EventQueue {
  users: number;
  read(bytes: Uint8Array): number;
  write(bytes: Uint8Array): number;
}

export class EventQueueFile extends MockFile {
  readonly #queue: EventQueue;
  readonly #context: IommufdContext;

  constructor(queue: EventQueue, context: IommufdContext) {
    super();
    this.#queue = queue;
    this.#context = context;
    queue.users++;
    context.file.get();
  }

  override read(bytes: Uint8Array): number {
    return this.#queue.read(bytes);
  }

  override write(bytes: Uint8Array): number {
    return this.#queue.write(bytes);
  }

  stat(): Stat {
    return { ino: 1n, mode: 0o600, nlink: 1, size: 0n, blksize: PAGE_SIZE, blocks: 0n };
  }

  protected override release(): void {
    this.#queue.users--;
    this.#context.file.put();
  }
}
