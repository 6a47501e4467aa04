/** How a backend says that its host is gone: of the mock, which alone outlives it. */

/**
 * The mocked host has died, where a real one would have: of a stale shared mapping of a TD's page (`platform: 'tdx'`).
 * The call that killed it ends with this, and every later one of the process and of its guests. What can still be done:
 * look at `host.mock` (journal, machineCheck and so on), and close what is open.
 */
export class MockHostCrashedError extends Error {
  readonly code = 'ERR_MOCK_HOST_CRASHED';
  /** What it died of; as `host.mock.machineCheck`. */
  readonly machineCheck: string;

  constructor(machineCheck: string) {
    super(`the mocked host has crashed: ${machineCheck}; its journal says who did it, and nothing runs on it any more`);
    this.machineCheck = machineCheck;
  }
}
Object.defineProperty(MockHostCrashedError.prototype, 'name', { value: 'MockHostCrashedError', writable: true });

export const isMockHostCrashedError = (error: unknown): error is MockHostCrashedError =>
  error instanceof MockHostCrashedError;
