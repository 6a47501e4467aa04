/**
 * An ioctl's argument as the kernel sees it: a plain number, and, where that is a pointer, memory to copy from and to.
 */

export interface UserMemory {
  /** The argument as an unsigned long; 0 for a buffer of the caller's, whose address no one needs. */
  readonly value: bigint;
  /** copy_from_user: `size` bytes, or undefined for EFAULT. */
  read(size: number): Uint8Array | undefined;
  /** copy_to_user: false for EFAULT. */
  write(bytes: Uint8Array): boolean;
}

/** A buffer of the caller's. */
export function bufferArgument(buffer: Uint8Array): UserMemory {
  return {
    value: 0n,
    read: (size) => {
      if (size === buffer.length) return buffer;
      return size < buffer.length ? buffer.subarray(0, size) : undefined;
    },
    write: (bytes) => {
      if (bytes.length > buffer.length) return false;
      buffer.set(bytes);
      return true;
    },
  };
}

/** A number; as a pointer it leads nowhere. */
export function numberArgument(value: bigint): UserMemory {
  return { value, read: () => undefined, write: () => false };
}
