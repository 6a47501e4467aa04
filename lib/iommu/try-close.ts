/** Closing what the kernel may keep from being closed. */

import { type Context, failed, type Handle, isKernelError, type Result, success } from '../host/index.ts';

/** With the kernel's refusal as a value; it is as open as before then. */
export async function tryClose(context: Context, handle: Handle): Promise<Result<void>> {
  try {
    await context.close(handle);
    return success(undefined);
  } catch (error) {
    if (isKernelError(error)) return failed(error);
    throw error;
  }
}
