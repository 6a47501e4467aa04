/** What the lab does about programs that are not installed. */

import { afterEach, expect, test, vi } from 'vitest';
import { Failure, Unavailable } from '../../scripts/lab/host/failure.mjs';
import { installPackages, requirePackages } from '../../scripts/lab/host/packages.mjs';

afterEach(() => vi.restoreAllMocks());

const absent = (name: string) => ({ package: name, has: () => false });
const present = { package: 'there', has: () => true };

test('a user is told what to install, in words that .ci/run can tell from a failure', async () => {
  vi.spyOn(process, 'getuid').mockReturnValue(1000);
  const refusal = await installPackages([present, absent('one'), absent('two')], '/dev/null').catch((error) => error);
  expect(refusal).toBeInstanceOf(Unavailable);
  expect(refusal).toBeInstanceOf(Failure);
  expect(refusal.message).toBe(
    'needs what the Debian packages one, two hold; as root: apt-get install --no-install-recommends one two',
  );
  expect(() => requirePackages([absent('one')])).toThrow('the Debian package one holds; as root');
});

test('nothing is done where nothing is missing', async () => {
  await installPackages([present], '/nowhere/at/all');
  requirePackages([present]);
});
