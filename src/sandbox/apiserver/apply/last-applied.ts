import { isDeepStrictEqual } from 'node:util';
import { isJsonObject, type JsonObject, type JsonSchema, type JsonValue } from '../schema/json-schema.ts';
import { FieldSet } from './field-set.ts';
import type { ApplyRequest } from './managed-fields-entry.ts';
import { fieldSetOf } from './typed-value.ts';
import { compareValues } from './value-comparison.ts';

const ANNOTATION = 'kubectl.kubernetes.io/last-applied-configuration';
/** The only manager that owns what client-side apply left behind. */
const KUBECTL = 'kubectl';

function annotationsOf(object: JsonObject | undefined): JsonObject | undefined {
  const metadata = object?.['metadata'];
  const annotations = isJsonObject(metadata) ? metadata['annotations'] : undefined;
  return isJsonObject(annotations) ? annotations : undefined;
}

function lastApplied(object: JsonObject | undefined): JsonObject | undefined {
  const text = annotationsOf(object)?.[ANNOTATION];
  if (typeof text !== 'string') return undefined;
  try {
    const parsed = JSON.parse(text) as JsonValue;
    return isJsonObject(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The fields that kubectl may take from their owners because it moves from client-side to server-side apply: those of the
 * last configuration that client-side apply recorded, as far as they still have the value from there.
 */
export function fieldsOfLastApplied(request: ApplyRequest, schema: JsonSchema): FieldSet {
  const configuration = lastApplied(request.live);
  if (request.manager !== KUBECTL || !configuration || !request.live) return new FieldSet();
  const { modified, removed } = compareValues(configuration, request.live, schema);
  return fieldSetOf(configuration, schema).difference(modified).difference(removed);
}

/** kubectl's server-side apply keeps the record of client-side apply right while the object still has one. */
export function updateLastApplied(object: JsonObject, request: ApplyRequest): JsonObject {
  const annotations = annotationsOf(object);
  if (request.manager !== KUBECTL || annotations?.[ANNOTATION] === undefined) return object;
  const text = `${JSON.stringify(withoutAnnotation(request.applied))}\n`;
  if (isDeepStrictEqual(lastApplied(object), JSON.parse(text))) return object;
  const metadata = object['metadata'] as JsonObject;
  return { ...object, metadata: { ...metadata, annotations: { ...annotations, [ANNOTATION]: text } } };
}

function withoutAnnotation(applied: JsonObject): JsonObject {
  const annotations = annotationsOf(applied);
  if (!annotations) return applied;
  const metadata = applied['metadata'] as JsonObject;
  const others = Object.entries(annotations).filter(([name]) => name !== ANNOTATION);
  return { ...applied, metadata: { ...metadata, annotations: Object.fromEntries(others) } };
}
