import { ApiException } from '@kubernetes/client-node';
import { ApiError, nextStep, type StatusBody } from '../kube/error.ts';
import type { Clock } from '../support/clock.ts';
import type { Log } from '../support/log.ts';

/** How often the same trouble is said again. */
const REPEAT_MS = 60_000;

function parseBody(body: unknown): StatusBody {
  if (typeof body === 'object' && body !== null) return body;
  if (typeof body !== 'string') return {};
  try {
    return JSON.parse(body) as StatusBody;
  } catch {
    return { message: body.slice(0, 300) };
  }
}

/** The message of the deepest cause: `fetch failed` alone helps nobody. */
function rootMessage(error: unknown): string {
  let current = error;
  while (current instanceof Error && current.cause !== undefined) current = current.cause;
  if (current instanceof AggregateError && current.errors.length > 0) return rootMessage(current.errors[0]);
  return current instanceof Error ? current.message || current.name : String(current);
}

/** What client-node throws, as an `ApiError`; one that came without an answer has status 0. */
export function toApiError(operation: string, object: string, error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof ApiException) return new ApiError(operation, object, error.code, parseBody(error.body));
  const { statusCode } = error as { statusCode?: unknown };
  if (typeof statusCode === 'number') {
    return new ApiError(operation, object, statusCode, { message: (error as Error).message });
  }
  return new ApiError(operation, object, 0, { message: rootMessage(error) });
}

/** Tells people of failed requests, with the next step, once a minute each. */
export class FailureLog {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #server: string;
  readonly #saidMs = new Map<string, number>();

  constructor(log: Log, clock: Clock, server: string) {
    this.#log = log;
    this.#clock = clock;
    this.#server = server;
  }

  report(error: ApiError): void {
    // Without an answer, or without an identity, every request fails alike.
    const isOfAll = error.status === 0 || error.status === 401;
    const key = isOfAll ? String(error.status) : `${error.operation} ${error.object} ${error.status}`;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - (this.#saidMs.get(key) ?? -Infinity) < REPEAT_MS) return;
    this.#saidMs.set(key, nowMs);
    const fields = {
      operation: error.operation,
      object: error.object,
      status: error.status,
      problem: error.message,
      nextStep: nextStep(error, this.#server),
    };
    this.#log.warn(fields, 'a request to the API server failed; trying again');
  }
}
