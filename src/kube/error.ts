import type { Failure } from '../support/errors.ts';

/** The Status object that an API server answers a refusal with, as far as we read it. */
export interface StatusBody {
  readonly reason?: string;
  readonly message?: string;
  readonly code?: number;
}

/** A refusal by the API server (`status` is the HTTP code), or no answer from it at all (`status` 0). */
export class ApiError extends Error implements Failure {
  override readonly name = 'ApiError';
  readonly operation: string;
  readonly object: string;
  readonly status: number;
  readonly reason: string;
  readonly retryable: boolean;

  constructor(operation: string, object: string, status: number, body: StatusBody) {
    super(`${operation} ${object} failed: ${body.message ?? body.reason ?? `HTTP ${status}`}`);
    this.operation = operation;
    this.object = object;
    this.status = status;
    this.reason = body.reason ?? '';
    this.retryable = status === 0 || status === 408 || status === 409 || status === 429 || status >= 500;
  }
}

export function isApiStatus(error: unknown, status: number): error is ApiError {
  return error instanceof ApiError && error.status === status;
}

/** The resource version we asked for is no longer kept: list again. */
export function isGone(error: unknown): boolean {
  return isApiStatus(error, 410) || (error instanceof ApiError && error.reason === 'Expired');
}

/** What to do about it, for the one line that a person reads. */
export function nextStep(error: unknown, server: string): string {
  if (!(error instanceof ApiError)) return 'see the message';
  switch (error.status) {
    case 0:
      return `check that ${server} is right and reachable from this node`;
    case 401:
      return 'check the token or client certificate in the kubeconfig';
    case 403:
      return 'give this identity the rights it lacks (RBAC)';
    case 404:
      return 'install the CustomResourceDefinitions: kubectl apply -f crds/';
    default:
      return 'it is tried again';
  }
}
