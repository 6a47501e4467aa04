/** Whether an argument is a VM that can still be asked. */

import { wrongType } from '../../abi/invalid.ts';
import { Vm } from '../vm.ts';

/** @throws TypeError, ClosedError */
export function checkVm(vm: Vm): ReturnType<typeof Vm.internals> {
  if (!(vm instanceof Vm)) throw wrongType('vm', 'a Vm', vm);
  const internals = Vm.internals(vm);
  internals.handle.checkOpen();
  return internals;
}
