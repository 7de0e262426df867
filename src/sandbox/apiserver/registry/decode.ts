import type { WriteOptions } from './write-options.ts';
import { groupVersion, type KubeObject } from '../object.ts';
import { badRequest, type StatusError } from '../status-error.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../schema/json-schema.ts';
import { decodeMetadata } from './metadata.ts';
import type { ResourceKind } from './resource-kind.ts';

/** Unknown fields of a body are pruned and, as the request asks, passed over, warned about or refused. */
export interface DecodeOptions {
  readonly write: WriteOptions;
  /** The refusal under Strict; depends on how the object came to be (a body, a patch). */
  readonly refusal?: (problem: string) => StatusError;
  /** For what a merge has made of typed values: a null in it was meant. */
  readonly keepsNulls?: boolean;
}

/** A client's object in the shape of the kind: typed metadata, known fields only, defaults filled in. Throws 400. */
export function decodeObject(kind: ResourceKind, body: JsonValue | undefined, options: DecodeOptions): KubeObject {
  if (!isJsonObject(body)) {
    throw badRequest(
      `couldn't get version/kind; json parse error: json: cannot unmarshal ${typeof body} into Go value`,
    );
  }
  const { apiVersion, kind: kindName } = checkType(kind, body);
  const unknown: string[] = [];
  const metadata = decodeMetadata(body.metadata, unknown);
  const content = kind.isCustom ? structuredClone(body) : (withoutNulls(body) as JsonObject);
  const object: KubeObject = { ...content, apiVersion, kind: kindName, metadata };
  unknown.push(...kind.compiled.prune(object));
  reportUnknown(kind, unknown, options);
  if (options.keepsNulls !== true) kind.compiled.dropNulls(object);
  kind.compiled.applyDefaults(object);
  if (!kind.isCustom) checkTypes(kind, object, options.refusal);
  return object;
}

function checkType(kind: ResourceKind, body: JsonObject): { apiVersion: string; kind: string } {
  const expected = groupVersion(kind.group, kind.version);
  const apiVersion = body.apiVersion ?? (kind.isCustom ? '' : expected);
  const kindName = body.kind ?? (kind.isCustom ? '' : kind.kind);
  if (typeof apiVersion !== 'string' || typeof kindName !== 'string') {
    throw badRequest("couldn't get version/kind; json parse error: apiVersion and kind must be strings");
  }
  if (kindName === '') throw badRequest(`Object 'Kind' is missing in '${JSON.stringify(body)}'`);
  if (apiVersion === '') throw badRequest(`Object 'apiVersion' is missing in '${JSON.stringify(body)}'`);
  if (apiVersion !== expected) {
    throw badRequest(
      `the API version in the data (${apiVersion}) does not match the expected API version (${expected})`,
    );
  }
  if (kindName !== kind.kind) {
    throw badRequest(`${kindName} in version "${kind.version}" cannot be handled as a ${kind.kind}: the kinds differ`);
  }
  return { apiVersion, kind: kindName };
}

/** Decoding into Go structs treats null as absent, also inside lists of structs and maps. */
function withoutNulls(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isJsonObject(value)) return value;
  const kept = Object.entries(value).filter(([, member]) => member !== null);
  return Object.fromEntries(kept.map(([name, member]) => [name, withoutNulls(member)]));
}

function cannotHandle(kind: ResourceKind, problem: string): StatusError {
  return badRequest(`${kind.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}: ${problem}`);
}

function reportUnknown(kind: ResourceKind, unknown: string[], { write, refusal }: DecodeOptions): void {
  if (unknown.length === 0 || write.fieldValidation === 'Ignore') return;
  const problems = unknown.map((path) => `unknown field "${path}"`);
  if (write.fieldValidation === 'Warn') {
    write.warnings.push(...problems);
    return;
  }
  const text = `strict decoding error: ${problems.join(', ')}`;
  throw refusal ? refusal(text) : cannotHandle(kind, text);
}

function checkTypes(kind: ResourceKind, object: KubeObject, refusal: DecodeOptions['refusal']): void {
  const problems = kind.compiled.validate(object).filter(({ reason }) => reason === 'FieldValueTypeInvalid');
  if (problems.length === 0) return;
  const text = problems.map(({ path, message }) => `json: cannot unmarshal ${path}: ${message}`).join(', ');
  throw refusal ? refusal(text) : cannotHandle(kind, text);
}

/** Throws 400 unless the object's name and namespace are those of the URL; fills in the ones it leaves out. */
export function checkIdentity(object: KubeObject, namespace: string, name: string | undefined): void {
  const { metadata } = object;
  if (metadata.namespace !== undefined && metadata.namespace !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  if (namespace !== '') metadata.namespace = namespace;
  if (name === undefined) return;
  if (!metadata.name) metadata.name = name;
  if (metadata.name !== name) {
    throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${name})`);
  }
}
