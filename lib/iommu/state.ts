/** What belongs to one iommufd: its file, and which typed object stands for which id. */

import { IOMMU_DESTROY } from '../abi/iommufd.ts';
import { type Context, Handle, issue, type OwnedFd, prepareIoctl } from '../host/index.ts';

export class IommufdState {
  readonly context: Context;
  readonly file: OwnedFd;
  /** Ids are used again as soon as they are free, so an object whose id was destroyed must not use it any longer. */
  readonly #objects = new Map<number, ObjectHandle>();

  constructor(context: Context, file: OwnedFd) {
    this.context = context;
    this.file = file;
    file.attach({
      hurry: () => {},
      release: async () => {
        // The kernel destroys them with the file; here they only have to say so.
        for (const object of this.#objects.values()) await context.close(object);
      },
    });
  }

  /** Takes over an id that the kernel just gave. */
  own(what: string, id: number): ObjectHandle {
    const handle = this.context.adopt(new ObjectHandle(this, what, id));
    this.#objects.set(id, handle);
    return handle;
  }

  find(id: number): ObjectHandle | undefined {
    return this.#objects.get(id);
  }

  forget(id: number): void {
    this.#objects.delete(id);
  }
}

/** An object of an iommufd, which goes with its file. The kernel may refuse to destroy it; then it stays as it was. */
export class ObjectHandle extends Handle {
  readonly id: number;
  readonly state: IommufdState;

  constructor(state: IommufdState, what: string, id: number) {
    super(`${what} ${id} of ${state.file.title}`, () => destroy(state, id), { mayBeRefused: true });
    this.id = id;
    this.state = state;
  }

  /** Keeps object and file open while `work` runs. @throws ClosedError */
  override use<T>(work: () => Promise<T>): Promise<T> {
    return super.use(() => this.state.file.use(work));
  }
}

async function destroy(state: IommufdState, id: number): Promise<void> {
  // The kernel destroyed it together with the file, or is about to.
  if (state.file.isOpen) {
    const { number } = state.file;
    const outcome = await state.file.use(() =>
      issue(state.context.syscalls, number, prepareIoctl(number, IOMMU_DESTROY, { id })),
    );
    if (!outcome.ok) throw outcome.error;
  }
  state.forget(id);
}
