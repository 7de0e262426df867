import { FIELD_VALIDATIONS, type FieldValidation, type WriteOptions } from '../registry/write-options.ts';
import { parse as parseYaml } from 'yaml';
import { decodeProtobufObject, PROTOBUF_TYPE } from '../protobuf/decode-object.ts';
import { PROPAGATION_POLICIES, type DeleteOptions, type PropagationPolicy } from '../registry/delete.ts';
import { objectAt, scalarText, valueAt } from '../object.ts';
import { invalidValue, unsupportedValue, type FieldProblem } from '../schema/field-problem.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../schema/json-schema.ts';
import { badRequest, invalid, unsupportedMediaType } from '../status-error.ts';
import type { ApiRequest } from './message.ts';

const BODY_TYPES = ['application/json', 'application/yaml', PROTOBUF_TYPE];
const MAX_MANAGER_LENGTH = 128;

/** `type/subtype` of a Content-Type header. */
export function mediaTypeOf(contentType: string): string {
  return (contentType.split(';')[0] ?? '').trim().toLowerCase();
}

/** The decoded body. Throws 415 for a type that is not read, 400 for a body that cannot be. */
export function parseBody({ contentType, body }: ApiRequest): JsonValue {
  const type = mediaTypeOf(contentType) || 'application/json';
  if (!BODY_TYPES.includes(type)) throw unsupportedMediaType(BODY_TYPES);
  const parsed = readAs(type, body);
  if (parsed === undefined) throw unsupportedMediaType(BODY_TYPES.slice(0, 2));
  return parsed;
}

function readAs(type: string, body: Buffer): JsonValue | undefined {
  try {
    if (type === PROTOBUF_TYPE) return decodeProtobufObject(body);
    return (type === 'application/json' ? JSON.parse(body.toString()) : parseYaml(body.toString())) as JsonValue;
  } catch (error) {
    throw badRequest(`error decoding the body: ${(error as Error).message}`);
  }
}

/** `dryRun`, `fieldManager` and `fieldValidation` of a write. Throws 422 with every problem. */
export function parseWriteOptions({ query, userAgent }: ApiRequest, kind: string): WriteOptions {
  const fieldValidation = query.get('fieldValidation') || 'Warn';
  const problems = dryRunProblems(query.getAll('dryRun'));
  if (!(FIELD_VALIDATIONS as readonly string[]).includes(fieldValidation)) {
    problems.push(unsupportedValue('fieldValidation', fieldValidation, [...FIELD_VALIDATIONS].sort()));
  }
  const manager = query.get('fieldManager') ?? '';
  if (manager.length > MAX_MANAGER_LENGTH) {
    problems.push(invalidValue('fieldManager', manager, `may not be more than ${MAX_MANAGER_LENGTH} characters`));
  }
  if (problems.length > 0) throw invalid({ group: 'meta.k8s.io', kind }, '', problems);
  return {
    isDryRun: query.getAll('dryRun').includes('All'),
    fieldManager: manager || (userAgent.split('/')[0] ?? '').slice(0, MAX_MANAGER_LENGTH) || 'unknown',
    fieldValidation: fieldValidation as FieldValidation,
    warnings: [],
  };
}

function dryRunProblems(values: readonly string[]): FieldProblem[] {
  const given = values.filter((value) => value !== '');
  if (given.every((value) => value === 'All')) return [];
  return [unsupportedValue('dryRun', given, ['All'])];
}

/** DeleteOptions from the body, or from the query when there is no body. Throws 422 with every problem. */
export function parseDeleteOptions(request: ApiRequest): DeleteOptions {
  const parsed = request.body.length === 0 ? null : parseBody(request);
  const body: JsonObject = isJsonObject(parsed) ? parsed : {};
  const { query } = request;
  const dryRun = Array.isArray(body.dryRun) ? body.dryRun.map(scalarText) : query.getAll('dryRun');
  const policy = propagationOf(body, query);
  const grace = body.gracePeriodSeconds ?? queryNumber(query, 'gracePeriodSeconds');
  const problems = [...dryRunProblems(dryRun), ...policyProblems(policy), ...graceProblems(grace)];
  if (problems.length > 0) throw invalid({ group: 'meta.k8s.io', kind: 'DeleteOptions' }, '', problems);
  return {
    isDryRun: dryRun.includes('All'),
    gracePeriodSeconds: typeof grace === 'number' ? grace : undefined,
    propagationPolicy: policy as PropagationPolicy | undefined,
    preconditions: preconditionsOf(body),
  };
}

function preconditionsOf(body: JsonObject): DeleteOptions['preconditions'] {
  const { uid, resourceVersion } = objectAt(body, 'preconditions');
  return {
    ...(typeof uid === 'string' ? { uid } : {}),
    ...(typeof resourceVersion === 'string' ? { resourceVersion } : {}),
  };
}

function policyProblems(policy: string | undefined): FieldProblem[] {
  if (policy === undefined || (PROPAGATION_POLICIES as readonly string[]).includes(policy)) return [];
  return [unsupportedValue('propagationPolicy', policy, [...PROPAGATION_POLICIES, 'nil'])];
}

function graceProblems(grace: JsonValue | undefined): FieldProblem[] {
  if (typeof grace !== 'number' || grace >= 0) return [];
  return [invalidValue('gracePeriodSeconds', grace, 'must be greater than or equal to 0')];
}

function propagationOf(body: JsonObject, query: URLSearchParams): string | undefined {
  const orphan = valueAt(body, 'orphanDependents');
  if (typeof orphan === 'boolean') return orphan ? 'Orphan' : 'Background';
  const policy = body.propagationPolicy ?? query.get('propagationPolicy');
  return typeof policy === 'string' && policy !== '' ? policy : undefined;
}

function queryNumber(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  if (!/^-?\d+$/.test(text)) throw badRequest(`strconv.ParseInt: parsing "${text}": invalid syntax`);
  return Number(text);
}
