import type { GroupResource } from './object.ts';
import type { FieldProblem } from './schema/field-problem.ts';

export interface StatusCause {
  readonly reason?: string;
  readonly message?: string;
  readonly field?: string;
}

export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly StatusCause[];
  readonly retryAfterSeconds?: number;
}

/** A refusal, in the words that a real API server uses; becomes a `Status` object on the wire. */
export class StatusError extends Error {
  override readonly name = 'StatusError';
  readonly code: number;
  readonly reason: string;
  readonly details: StatusDetails | undefined;
  /** Goes into the Status's list metadata: how to continue after an expired list. */
  readonly continueToken: string | undefined;
  /** What the request was warned of before it was refused. */
  warnings: readonly string[] = [];

  constructor(
    code: number,
    reason: string,
    message: string,
    extra: { details?: StatusDetails; continueToken?: string } = {},
  ) {
    super(message);
    this.code = code;
    this.reason = reason;
    this.details = extra.details;
    this.continueToken = extra.continueToken;
  }

  toStatus(): Record<string, unknown> {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: this.continueToken === undefined ? {} : { continue: this.continueToken },
      status: 'Failure',
      message: this.message,
      ...(this.reason === '' ? {} : { reason: this.reason }),
      ...(this.details ? { details: this.details } : {}),
      code: this.code,
    };
  }
}

function resourceDetails({ group, plural }: GroupResource, name: string): StatusDetails {
  return { name, ...(group === '' ? {} : { group }), kind: plural };
}

function qualified({ group, plural }: GroupResource): string {
  return group === '' ? plural : `${plural}.${group}`;
}

export function badRequest(message: string): StatusError {
  return new StatusError(400, 'BadRequest', message);
}

export function unauthorized(): StatusError {
  return new StatusError(401, 'Unauthorized', 'Unauthorized');
}

/** The path itself is unknown to the server, as opposed to an object that does not exist. */
export function pathNotFound(): StatusError {
  return new StatusError(404, 'NotFound', 'the server could not find the requested resource', { details: {} });
}

export function notFound(resource: GroupResource, name: string): StatusError {
  const details = resourceDetails(resource, name);
  return new StatusError(404, 'NotFound', `${qualified(resource)} "${name}" not found`, { details });
}

export function alreadyExists(resource: GroupResource, name: string): StatusError {
  const details = resourceDetails(resource, name);
  return new StatusError(409, 'AlreadyExists', `${qualified(resource)} "${name}" already exists`, { details });
}

export function conflict(resource: GroupResource, name: string, problem: string): StatusError {
  const details = resourceDetails(resource, name);
  const message = `Operation cannot be fulfilled on ${qualified(resource)} "${name}": ${problem}`;
  return new StatusError(409, 'Conflict', message, { details });
}

export const OBJECT_MODIFIED =
  'the object has been modified; please apply your changes to the latest version and try again';

export function forbidden(resource: GroupResource, name: string, problem: string): StatusError {
  const details = resourceDetails(resource, name);
  return new StatusError(403, 'Forbidden', `${qualified(resource)} "${name}" is forbidden: ${problem}`, { details });
}

export function methodNotAllowed(verb: string): StatusError {
  const message = `the server does not allow this method on the requested resource`;
  return new StatusError(405, 'MethodNotAllowed', message, { details: { kind: verb } });
}

export function unsupportedMediaType(accepted: readonly string[]): StatusError {
  const message = `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`;
  return new StatusError(415, 'UnsupportedMediaType', message);
}

export function notAcceptable(accepted: readonly string[]): StatusError {
  const message = `only the following media types are accepted: ${accepted.join(', ')}`;
  return new StatusError(406, 'NotAcceptable', message);
}

export function expired(message: string, continueToken?: string): StatusError {
  return new StatusError(410, 'Expired', message, continueToken === undefined ? {} : { continueToken });
}

export function tooLargeResourceVersion(asked: number, current: number): StatusError {
  const causes = [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }];
  const message = `Timeout: Too large resource version: ${asked}, current: ${current}`;
  return new StatusError(504, 'Timeout', message, { details: { causes, retryAfterSeconds: 1 } });
}

export function internalError(problem: string): StatusError {
  const details = { causes: [{ message: problem }] };
  return new StatusError(500, 'InternalError', `Internal error occurred: ${problem}`, { details });
}

/** All problems of an object at once, each as a cause with its field, as `kubectl` prints them. */
export function invalid(
  type: { group: string; kind: string },
  name: string,
  problems: readonly FieldProblem[],
): StatusError {
  const causes = problems.map(({ reason, message, path }) => ({ reason, message, field: path }));
  const lines = [...new Set(problems.map(({ path, message }) => `${path}: ${message}`))];
  const text = lines.length === 1 ? lines[0] : `[${lines.join(', ')}]`;
  const kind = type.group === '' ? type.kind : `${type.kind}.${type.group}`;
  const group = type.group === '' ? {} : { group: type.group };
  const subject = { ...(name === '' ? {} : { name }), ...group, ...(type.kind === '' ? {} : { kind: type.kind }) };
  return new StatusError(422, 'Invalid', `${kind} "${name}" is invalid: ${text ?? ''}`, {
    details: { ...subject, causes },
  });
}
