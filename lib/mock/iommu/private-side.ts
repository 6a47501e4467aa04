/** An IOAS for a device that a confidential guest has accepted: no kernel's interface makes one yet, so a test does. */

import { wrongType, wrongValue } from '../../abi/invalid.ts';
import type { IommuHost } from './host.ts';
import { Ioas } from './iommufd/ioas.ts';
import { IommufdFile } from './iommufd/iommufd-file.ts';

/** The IOAS of an iommufd of the mock. */
export function ioasOf(host: IommuHost, iommufd: number, ioasId: number): Ioas {
  const file = host.fds.get(iommufd);
  if (!(file instanceof IommufdFile)) throw wrongType('iommufd', 'the fd of an iommufd', iommufd);
  const ioas = file.context.objects.find(ioasId, Ioas);
  if (!ioas) throw wrongValue('ioasId', 'the id of an IOAS of this iommufd', ioasId);
  return ioas;
}

/** From now on it maps private pages of a guest_memfd, and nothing else. */
export function makePrivateSide(host: IommuHost, iommufd: number, ioasId: number): void {
  const { table } = ioasOf(host, iommufd, ioasId);
  if (host.policy === 'pin') {
    throw wrongValue(
      'iommu',
      "one of the designs that map a guest_memfd by its file: 'pin' maps no private memory",
      'pin',
    );
  }
  if (table.areas.size > 0) throw wrongValue('ioasId', 'the id of an IOAS that maps nothing yet', ioasId);
  table.side = 'private';
}
