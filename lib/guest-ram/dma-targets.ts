/** The spaces of the kernel that a GuestRam can be put into, each with the one vocabulary that GuestRam speaks. */

import { wrongType, wrongValue } from '../abi/invalid.ts';
import { type Result, success } from '../host/index.ts';
import { Ioas, VfioContainer } from '../iommu/index.ts';
import type { Backing } from './backing.ts';
import type { DmaPiece, DmaSpace } from './dma-space.ts';

/** An IOAS, a type1 container, or whatever else can map and unmap. */
export type DmaTarget = Ioas | VfioContainer | DmaSpace;

/**
 * How the kernel is told which memory: by its address in this process, or by the file it is in. By file is the only
 * way to private memory, and needs a kernel whose IOMMU knows guest_memfds.
 */
export type MapBy = 'address' | 'file';

/** What is the same for the same target, however it is mapped. */
export function keyOf(target: DmaTarget): object {
  if (target instanceof Ioas || target instanceof VfioContainer) return target;
  if (typeof target?.tryMap !== 'function') throw wrongType('target', 'an Ioas, a VfioContainer or a DmaSpace', target);
  return target.key;
}

export function spaceOf(target: DmaTarget, backing: Backing, by: MapBy): DmaSpace {
  if (target instanceof Ioas) return ioasSpace(target, backing, by);
  if (!(target instanceof VfioContainer)) return target;
  if (by === 'file') throw wrongValue('options.by', "'address' for a VFIO container, which maps no files", by);
  return containerSpace(target, backing);
}

/** An IOAS, for the memory of a GuestRam or what a GuestRam is made of. */
export function ioasSpace(ioas: Ioas, { gmem, mapping }: Pick<Backing, 'gmem' | 'mapping'>, by: MapBy): DmaSpace {
  return {
    key: ioas,
    title: `IOAS ${ioas.id}`,
    tryMap: async ({ offset, iova, length }) =>
      nothing(
        by === 'file'
          ? await ioas.tryMapFile({ file: gmem, start: offset, length, iova })
          : await ioas.tryMap({ address: mapping, offset, length, iova }),
      ),
    tryUnmap: async ({ iova, length }) => nothing(await ioas.tryUnmap({ iova, length })),
    isMapped: ({ iova, length }) => ioas.isMapped({ iova, length }),
  };
}

/** Whether something is mapped in a container cannot be asked without mapping it. */
function containerSpace(container: VfioContainer, { mapping }: Backing): DmaSpace {
  return {
    key: container,
    title: `VfioContainer (fd ${container.fd})`,
    tryMap: ({ offset, iova, length }: DmaPiece) => container.tryMapDma({ address: mapping, offset, length, iova }),
    tryUnmap: async ({ iova, length }) => nothing(await container.tryUnmapDma({ iova, length })),
  };
}

const nothing = (result: Result<unknown>): Result<void> => (result.ok ? success(undefined) : result);
