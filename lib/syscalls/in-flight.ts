/** Calls that somebody must wait for first. */

export function callsInFlight(calls: number, where: string, before: string): Error & { code: 'ERR_CALLS_IN_FLIGHT' } {
  const one = calls === 1;
  const what = `${calls} asynchronous ${one ? 'call' : 'calls'} ${where} ${one ? 'is' : 'are'} in flight`;
  return Object.assign(new Error(`${what}; await ${one ? 'it' : 'them'} before ${before}`), {
    code: 'ERR_CALLS_IN_FLIGHT' as const,
  });
}
