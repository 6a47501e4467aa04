/** One command inside KVM_MEMORY_ENCRYPT_OP: its struct by pointer, and the firmware's answer in the error. */

import type { AnyCommand, StructCommand } from '../../abi/command.ts';
import { KVM_MEMORY_ENCRYPT_OP, kvm_sev_cmd, kvm_tdx_cmd } from '../../abi/encrypt-op.ts';
import { type FirmwareError, sevError } from '../../abi/sev-errors.ts';
import type { Fields, StructIn, StructOut } from '../../abi/struct.ts';
import { tdxStatus } from '../../abi/tdx-status.ts';
import { type Context, failed, failure, type OwnedFd, type Result, recogniseDeath, success } from '../../host/index.ts';
import type { Pointer } from '../../syscalls/seam.ts';

/** Whose commands they are: how the struct around one is laid out, and where the firmware's answer stands. */
interface Family {
  encode(id: number, extra: { readonly flags?: number; readonly data?: bigint; readonly sevFd?: number }): Uint8Array;
  firmware(bytes: Uint8Array): FirmwareError | undefined;
}

/** `data` is the third field of both, at the same place. */
const DATA = kvm_sev_cmd.fields.find(({ name }) => name === 'data')!.offset;

const sev: Family = {
  encode: (id, { sevFd = 0 }) => kvm_sev_cmd.encode({ id, sev_fd: sevFd }),
  firmware: (bytes) => sevError(kvm_sev_cmd.decode(bytes).error),
};

const tdx: Family = {
  encode: (id, { flags = 0, data = 0n }) => kvm_tdx_cmd.encode({ id, flags, data }),
  firmware: (bytes) => tdxStatus(kvm_tdx_cmd.decode(bytes).hw_error),
};

export interface CommandCall {
  readonly context: Context;
  /** The fd it is issued on. */
  readonly on: OwnedFd;
  /** The VM's own fd, which tells whether it lives. */
  readonly vm: OwnedFd;
}

export interface CommandExtra {
  readonly flags?: number;
  /** In place of a pointer. */
  readonly data?: bigint;
  readonly sevFd?: number;
  /** For the error message; what the struct holds by default. */
  readonly shown?: Readonly<Record<string, unknown>>;
}

/** Bytes go to the kernel as they are, and come back as it left them. */
async function send(
  family: Family,
  { context, on, vm }: CommandCall,
  { name, id }: AnyCommand,
  data: Uint8Array | undefined,
  extra: CommandExtra,
): Promise<Result<void>> {
  const { syscalls } = context;
  const arg = family.encode(id, extra);
  const pointers: readonly Pointer[] = data ? [{ at: DATA, to: data }] : [];
  return await on.use(async () => {
    const ret = await syscalls.ioctl(on.number, KVM_MEMORY_ENCRYPT_OP.request, arg, pointers);
    if (ret >= 0) return success(undefined);
    const firmware = family.firmware(arg);
    const call = { syscall: 'ioctl', request: 'KVM_MEMORY_ENCRYPT_OP', command: name, fd: on.number };
    const refused = failure({ ...call, args: extra.shown ?? {}, ...(firmware && { firmware }) }, ret);
    const { error } = await recogniseDeath(syscalls, vm.number, { ...refused, ret, out: undefined }).then((outcome) =>
      outcome.ok ? refused : outcome,
    );
    return failed(error);
  });
}

async function sendStruct<F extends Fields>(
  family: Family,
  call: CommandCall,
  command: StructCommand<F>,
  values: StructIn<F>,
  extra: CommandExtra,
): Promise<Result<StructOut<F>>> {
  const data = command.struct.encode(values);
  const result = await send(family, call, command, data, { shown: values as Record<string, unknown>, ...extra });
  return result.ok ? success(command.struct.decode(data)) : result;
}

export const sevCommand = <F extends Fields>(
  call: CommandCall,
  command: StructCommand<F>,
  values: StructIn<F>,
  sevFd = 0,
): Promise<Result<StructOut<F>>> => sendStruct(sev, call, command, values, { sevFd });

export const tdxCommand = <F extends Fields>(
  call: CommandCall,
  command: StructCommand<F>,
  values: StructIn<F>,
  flags = 0,
): Promise<Result<StructOut<F>>> => sendStruct(tdx, call, command, values, { flags });

/** One without a struct, or one whose struct is followed by entries: bytes. */
export const tdxBytes = (
  call: CommandCall,
  command: AnyCommand,
  bytes: Uint8Array | undefined,
  extra: CommandExtra = {},
): Promise<Result<void>> => send(tdx, call, command, bytes, extra);
