import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import {
  ioctls,
  SEV_RET_POLICY_FAILURE,
  sevCommands,
  sevError,
  TDX_EPT_ENTRY_STATE_INCORRECT,
  tdxCommands,
  tdxStatus,
  variants,
} from '../../lib/abi/index.ts';
import { hintFor, hints } from '../../lib/host/hints.ts';
import {
  ClosedError,
  isClosedError,
  isKernelError,
  isUnsupportedError,
  isVmDeadError,
  KernelError,
  UnsupportedError,
  VmDeadError,
} from '../../lib/host/index.ts';
import { CALL_NAMES } from '../../lib/syscalls/seam.ts';

const blocked = new KernelError(
  {
    syscall: 'ioctl',
    request: 'KVM_GMEM_CONVERT_PRIVATE',
    fd: 7,
    args: { offset: 0n, size: 8192n },
    errorOffset: 0x1000n,
  },
  -11,
);

describe('KernelError', () => {
  test('says what, where, with what, and what to do about it', () => {
    expect(blocked.message).toBe(
      'EAGAIN: resource temporarily unavailable, ioctl KVM_GMEM_CONVERT_PRIVATE on fd 7 { offset: 0n, size: 8192n } ' +
        '-> the page at 0x1000 is still referenced: drop what holds it (a pin, an IOMMU mapping, I/O in flight) and retry',
    );
  });

  test('has its parts as properties', () => {
    expect(blocked).toMatchObject({
      name: 'KernelError',
      code: 'EAGAIN',
      errno: -11,
      syscall: 'ioctl',
      request: 'KVM_GMEM_CONVERT_PRIVATE',
      fd: 7,
      args: { offset: 0n, size: 8192n },
      errorOffset: 0x1000n,
    });
  });

  test('has no property for what is not known', () => {
    const error = new KernelError({ syscall: 'dup' }, -24);
    expect(Object.keys(error).sort()).toEqual(['code', 'errno', 'hint', 'syscall']);
  });

  test('shows its parts when it is printed', () => {
    const text = inspect(blocked);
    for (const part of ["code: 'EAGAIN'", 'errno: -11', "request: 'KVM_GMEM_CONVERT_PRIVATE'", 'size: 8192n']) {
      expect(text).toContain(part);
    }
    expect(text).toMatch(/^KernelError: EAGAIN/);
  });

  test('survives JSON, which has no bigint', () => {
    expect(JSON.parse(JSON.stringify(blocked))).toMatchObject({
      name: 'KernelError',
      message: blocked.message,
      code: 'EAGAIN',
      errno: -11,
      args: { offset: '0x0', size: '0x2000' },
      errorOffset: '0x1000',
    });
  });

  test('cannot be changed by its reader', () => {
    expect(() => Object.assign(blocked, { fd: 8 })).toThrow(TypeError);
  });

  test('names an errno that Linux does not use by its number', () => {
    const error = new KernelError({ syscall: 'ioctl' }, -512);
    expect(error.code).toBe('E512');
    expect(error.message).toBe('E512: unknown error 512, ioctl');
  });

  test('leaves out arguments that are none', () => {
    expect(new KernelError({ syscall: 'ioctl', args: {} }, -7).message).toBe('E2BIG: argument list too long, ioctl');
  });

  test('with() knows more and stays of its class', () => {
    const dead = new VmDeadError({ syscall: 'ioctl', request: 'KVM_ENABLE_CAP', fd: 4 });
    const more = dead.with({ attempts: 2 });
    expect(more).toBeInstanceOf(VmDeadError);
    expect(more).toMatchObject({ attempts: 2, fd: 4, errno: -5, hint: dead.hint });
    expect(more.message).toContain('after 2 attempts');
  });
});

describe('guards', () => {
  const dead = new VmDeadError({ syscall: 'ioctl' });
  const unsupported = new UnsupportedError('no', [{ request: 'KVM_SET_MEMORY_ATTRIBUTES', answer: 'ENOTTY' }]);
  const closed = new ClosedError('Vm (fd 4)');

  test('isKernelError tells by class, and by code where codes are given', () => {
    expect([blocked, dead, unsupported, closed, new Error(), undefined].map((e) => isKernelError(e))).toEqual([
      true,
      true,
      false,
      false,
      false,
      false,
    ]);
    expect(isKernelError(blocked, 'EAGAIN')).toBe(true);
    expect(isKernelError(blocked, 'EINVAL', 'EAGAIN')).toBe(true);
    expect(isKernelError(blocked, 'EINVAL')).toBe(false);
  });

  test('the others tell by class', () => {
    expect([blocked, dead].map(isVmDeadError)).toEqual([false, true]);
    expect([blocked, unsupported].map(isUnsupportedError)).toEqual([false, true]);
    expect([blocked, closed].map(isClosedError)).toEqual([false, true]);
  });

  test('each class has its code and name', () => {
    expect(dead).toMatchObject({ name: 'VmDeadError', code: 'EIO', errno: -5 });
    expect(dead.message).toContain('KVM killed the VM; see the kernel log');
    expect(unsupported).toMatchObject({ name: 'UnsupportedError', code: 'ERR_UNSUPPORTED' });
    expect(unsupported.message).toBe('no (probed: KVM_SET_MEMORY_ATTRIBUTES: ENOTTY)');
    expect(closed).toMatchObject({ name: 'ClosedError', code: 'ERR_CLOSED', message: 'Vm (fd 4) is closed' });
  });
});

describe('of firmware', () => {
  const call = { syscall: 'ioctl', request: 'KVM_MEMORY_ENCRYPT_OP', command: 'KVM_SEV_SNP_LAUNCH_START', fd: 5 };

  test('the error names the command and what the firmware said, with what to do', () => {
    const error = new KernelError({ ...call, firmware: sevError(SEV_RET_POLICY_FAILURE)! }, -5);
    expect(error).toMatchObject({ command: call.command, firmware: { name: 'SEV_RET_POLICY_FAILURE', code: 7n } });
    expect(error.message).toBe(
      `EIO: input/output error, ioctl KVM_MEMORY_ENCRYPT_OP KVM_SEV_SNP_LAUNCH_START on fd 5 (firmware: ` +
        `SEV_RET_POLICY_FAILURE, 0x7) -> ${error.firmware?.advice}`,
    );
  });

  test('without its word, the command and the errno tell', () => {
    expect(new KernelError(call, -22).hint).toContain('a policy that has bit 17');
  });

  test('codes that nobody named are shown as they are; success is no error', () => {
    expect([sevError(0x7777)?.name, sevError(0), tdxStatus(0n)]).toEqual(['0x7777', undefined, undefined]);
    expect(tdxStatus(TDX_EPT_ENTRY_STATE_INCORRECT | 0x92n)?.name).toBe('TDX_EPT_ENTRY_STATE_INCORRECT');
    expect(tdxStatus(0x1234_0000_0000_0001n)?.name).toBe('0x1234000000000001');
  });
});

describe('hints', () => {
  const commands = [...sevCommands, ...tdxCommands];
  const known = new Set<string>([...[...ioctls, ...variants, ...commands].map(({ name }) => name), ...CALL_NAMES]);

  test('are for calls that exist', () => {
    const names = hints.flatMap((hint) => hint.on ?? []);
    expect(names.filter((name) => !known.has(name))).toEqual([]);
  });

  test('exist once for each call and errno', () => {
    const keys = hints.flatMap(({ on = ['*'], code }) => on.map((name) => `${name} ${code}`));
    expect(keys.filter((key, index) => keys.indexOf(key) !== index)).toEqual([]);
  });

  test('of a call go before general ones', () => {
    const request = 'KVM_CREATE_GUEST_MEMFD';
    expect(hintFor({ syscall: 'ioctl', request }, 'ENOTTY')).toContain('no guest_memfd');
    expect(hintFor({ syscall: 'ioctl', request: '0x0000ae99' }, 'ENOTTY')).toContain('does not know the request');
    expect(hintFor({ syscall: 'ioctl', request }, 'ENXIO')).toBeUndefined();
  });

  test('about a page need the page', () => {
    expect(hintFor({ syscall: 'ioctl', request: 'KVM_GMEM_CONVERT_PRIVATE' }, 'EAGAIN')).toBeUndefined();
  });
});
