/**
 * The objects of an open /dev/iommu and their ids: drivers/iommu/iommufd/main.c. Ids start at 1, and the lowest free
 * one is taken.
 */

import { errno } from '../../../abi/errno.ts';

export abstract class IommufdObject {
  id = 0;
  /** Other objects and files that need it; while there are any, it cannot be destroyed. */
  users = 0;

  /** It leaves the table for good. */
  abstract destroy(): void;
}

type Kind<T extends IommufdObject> = abstract new (...args: never[]) => T;

export class ObjectTable {
  /** An id without an object is reserved: for one that is being made, or for good. */
  readonly #objects = new Map<number, IommufdObject | undefined>();
  #lowest = 1;

  get size(): number {
    return this.#objects.size;
  }

  /** Takes an id for an object that nobody can find yet. */
  reserve(object: IommufdObject): void {
    while (this.#objects.has(this.#lowest)) this.#lowest++;
    object.id = this.#lowest;
    this.#objects.set(object.id, undefined);
  }

  /** From here on it can be found. */
  publish<T extends IommufdObject>(object: T): T {
    this.#objects.set(object.id, object);
    return object;
  }

  /** Gives back the id of an object that was not published, or is gone. */
  free(object: IommufdObject): void {
    this.#objects.delete(object.id);
    this.#lowest = Math.min(this.#lowest, object.id);
  }

  /** Makes an object and publishes it at once. */
  add<T extends IommufdObject>(object: T): T {
    this.reserve(object);
    return this.publish(object);
  }

  /** The object of an id and a kind; undefined is ENOENT. */
  find<T extends IommufdObject>(id: number, kind: Kind<T>): T | undefined {
    const object = this.#objects.get(id);
    return object instanceof kind ? object : undefined;
  }

  any(id: number): IommufdObject | undefined {
    return this.#objects.get(id);
  }

  *[Symbol.iterator](): Generator<IommufdObject> {
    for (const object of [...this.#objects.values()]) if (object) yield object;
  }

  /** IOMMU_DESTROY */
  destroy(id: number): number {
    const object = this.#objects.get(id);
    if (!object) return -errno.ENOENT;
    if (object.users > 0) return -errno.EBUSY;
    this.remove(object);
    return 0;
  }

  /** Takes an object out and destroys it. `tombstone`: its id is never given out again. */
  remove(object: IommufdObject, tombstone = false): void {
    if (this.#objects.get(object.id) !== object) return;
    if (tombstone) this.#objects.set(object.id, undefined);
    else this.free(object);
    object.destroy();
  }

  /** The file is closed: those that nobody needs go first. */
  destroyAll(): void {
    for (let left = true; left; ) {
      left = false;
      for (const object of this) {
        if (object.users > 0) continue;
        this.remove(object);
        left = true;
      }
    }
    this.#objects.clear();
  }
}
