/** What every backend must do, run in both forms of every call. A backend is added with one line in seam.test.ts. */

import { describe } from 'vitest';
import { blocking } from './seam/blocking.ts';
import { files } from './seam/files.ts';
import { inFlight } from './seam/in-flight.ts';
import { interrupt } from './seam/interrupt.ts';
import { ioctls } from './seam/ioctls.ts';
import { kernelOnly } from './seam/kernel-only.ts';
import { FORMS, type MakeSyscalls } from './seam/kit.ts';
import { memory } from './seam/memory.ts';
import { order } from './seam/order.ts';
import { refusals } from './seam/refusals.ts';
import { wrongUse } from './seam/wrong-use.ts';

export interface Backend {
  readonly name: string;
  readonly make: MakeSyscalls;
  /** It calls a real kernel, which knows more requests and files than the mock does. */
  readonly kernel?: boolean;
  /** Its asynchronous calls are made elsewhere, so that there is something to be in flight. */
  readonly concurrent?: boolean;
  /** What this machine lacks for it; its checks are then skipped under that name. */
  readonly missing?: string | undefined;
}

export function seamContract({ name, make, kernel, concurrent, missing }: Backend): void {
  describe.skipIf(missing !== undefined)(missing === undefined ? name : `${name}: ${missing}`, () => {
    for (const form of FORMS) {
      describe(form, () => {
        refusals(make, form);
        files(make, form);
        ioctls(make, form);
        memory(make, form);
        wrongUse(make, form);
        if (kernel) kernelOnly(make, form);
      });
    }
    describe('order', () => order(make));
    if (concurrent) describe('in flight', () => inFlight(make));
    if (kernel) describe('blocking', () => blocking(make));
    if (kernel && concurrent) describe('interrupt', () => interrupt(make));
  });
}
