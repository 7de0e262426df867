/** Rules that the tracer does not understand, or that no kernel would take: better no answer than a wrong one. */
export class TraceError extends Error {
  override readonly name = 'TraceError';
}

export function fail(message: string): never {
  throw new TraceError(message);
}

/** Throws `TraceError` unless it holds. */
export function insist(isTrue: boolean, message = 'rules that no kernel would take'): asserts isTrue {
  if (!isTrue) fail(message);
}
