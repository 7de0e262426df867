import type { KubeObject, ObjectMeta } from '../object.ts';
import { badRequest } from '../status-error.ts';
import {
  forbidden,
  indexPath,
  invalidValue,
  requiredValue,
  tooLong,
  type FieldProblem,
} from '../schema/field-problem.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../schema/json-schema.ts';
import { labelValueProblems, qualifiedNameProblems, type NameRule } from './names.ts';

const MAX_ANNOTATION_BYTES = 256 * 1024;

type MetaType = 'string' | 'integer' | 'string map' | 'string list' | 'object list';

const METADATA_FIELDS: Readonly<Record<string, MetaType>> = {
  name: 'string',
  generateName: 'string',
  namespace: 'string',
  selfLink: 'string',
  uid: 'string',
  resourceVersion: 'string',
  generation: 'integer',
  creationTimestamp: 'string',
  deletionTimestamp: 'string',
  deletionGracePeriodSeconds: 'integer',
  labels: 'string map',
  annotations: 'string map',
  ownerReferences: 'object list',
  finalizers: 'string list',
  managedFields: 'object list',
};

const OWNER_FIELDS = ['apiVersion', 'kind', 'name', 'uid', 'controller', 'blockOwnerDeletion'];

function hasType(value: JsonValue, type: MetaType): boolean {
  switch (type) {
    case 'string':
      return typeof value === 'string';
    case 'integer':
      return Number.isInteger(value);
    case 'string map':
      return isJsonObject(value) && Object.values(value).every((member) => typeof member === 'string');
    case 'string list':
      return Array.isArray(value) && value.every((member) => typeof member === 'string');
    case 'object list':
      return Array.isArray(value) && value.every(isJsonObject);
  }
}

/**
 * The metadata of an object as a client sent it: nulls and empty values are dropped, unknown fields too (their paths go
 * to `unknown`). Throws 400 for a field of the wrong type, as decoding into a struct does.
 */
export function decodeMetadata(raw: JsonValue | undefined, unknown: string[]): ObjectMeta {
  if (raw !== undefined && raw !== null && !isJsonObject(raw)) throw wrongType('metadata', raw);
  const metadata: JsonObject = {};
  for (const [name, sent] of Object.entries(raw ?? {})) {
    const type = Object.hasOwn(METADATA_FIELDS, name) ? METADATA_FIELDS[name] : undefined;
    if (!type) unknown.push(`metadata.${name}`);
    else Object.assign(metadata, decodeField(name, type, sent));
  }
  if (metadata.ownerReferences) metadata.ownerReferences = decodeOwners(metadata.ownerReferences, unknown);
  return metadata as ObjectMeta;
}

function decodeField(name: string, type: MetaType, sent: JsonValue): JsonObject {
  const value = type === 'string map' ? nullsToEmpty(sent) : sent;
  if (value === null) return {};
  if (!hasType(value, type)) throw wrongType(`metadata.${name}`, value);
  return isEmpty(name, value) ? {} : { [name]: value };
}

/** Fields that Go leaves out of what it writes. An empty list of managedFields is kept: it asks to forget them all. */
function isEmpty(name: string, value: JsonValue): boolean {
  if (name === 'selfLink' || value === '') return true;
  if (Array.isArray(value)) return value.length === 0 && name !== 'managedFields';
  return isJsonObject(value) && Object.keys(value).length === 0;
}

function decodeOwners(owners: JsonValue, unknown: string[]): JsonValue {
  return (owners as JsonObject[]).map((owner, index) => {
    for (const name of Object.keys(owner)) {
      if (!OWNER_FIELDS.includes(name)) unknown.push(`metadata.ownerReferences[${index}].${name}`);
    }
    const known = Object.entries(owner).filter(([name, value]) => OWNER_FIELDS.includes(name) && value !== null);
    return Object.fromEntries(known);
  });
}

function nullsToEmpty(value: JsonValue): JsonValue {
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, member ?? '']));
}

function wrongType(path: string, value: JsonValue): Error {
  const found = Array.isArray(value) ? 'array' : isJsonObject(value) ? 'object' : typeof value;
  return badRequest(`json: cannot unmarshal ${found} into Go struct field ObjectMeta.${path}`);
}

/** Everything that is wrong with an object's name, labels, annotations, finalizers and owners. */
export function metadataProblems(object: KubeObject, nameRule: NameRule): FieldProblem[] {
  const { metadata } = object;
  return [
    ...nameProblems(metadata, nameRule),
    ...labelProblems(metadata.labels),
    ...annotationProblems(metadata.annotations),
    ...(metadata.finalizers ?? []).flatMap((name) =>
      qualifiedNameProblems(name).map((problem) => invalidValue('metadata.finalizers', name, problem)),
    ),
    ...ownerProblems(metadata),
  ];
}

function nameProblems(metadata: ObjectMeta, rule: NameRule): FieldProblem[] {
  if (!metadata.name) return [requiredValue('metadata.name', 'name or generateName is required')];
  return rule(metadata.name).map((problem) => invalidValue('metadata.name', metadata.name, problem));
}

/** Also for label maps outside metadata, such as a selector. */
export function labelProblems(labels: Record<string, string> = {}, path = 'metadata.labels'): FieldProblem[] {
  return Object.entries(labels).flatMap(([key, value]) => [
    ...qualifiedNameProblems(key).map((problem) => invalidValue(path, key, problem)),
    ...labelValueProblems(value).map((problem) => invalidValue(path, value, problem)),
  ]);
}

function annotationProblems(annotations: Record<string, string> = {}): FieldProblem[] {
  const problems = Object.keys(annotations).flatMap((key) =>
    qualifiedNameProblems(key.toLowerCase()).map((problem) => invalidValue('metadata.annotations', key, problem)),
  );
  const bytes = Object.entries(annotations).reduce(
    (sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value),
    0,
  );
  return bytes > MAX_ANNOTATION_BYTES ? [...problems, tooLong('metadata.annotations', MAX_ANNOTATION_BYTES)] : problems;
}

function ownerProblems({ ownerReferences = [] }: ObjectMeta): FieldProblem[] {
  const problems = ownerReferences.flatMap((owner, index) => {
    const path = indexPath('metadata.ownerReferences', index);
    const missing = (['apiVersion', 'kind', 'name', 'uid'] as const).filter((name) => !owner[name]);
    return missing.map((name) =>
      invalidValue(`${path}.${name}`, '', name === 'apiVersion' ? 'version must not be empty' : 'must not be empty'),
    );
  });
  const controllers = ownerReferences.filter((owner) => owner.controller === true).map((owner) => owner.name);
  if (controllers.length > 1) {
    const detail = `Only one reference can have Controller set to true. Found "true" in references for ${controllers.slice(0, 2).join(' and ')}`;
    problems.push(invalidValue('metadata.ownerReferences', ownerReferences, detail));
  }
  return problems;
}

/** What an update may not do to metadata; call it before the fields that belong to the server are carried over. */
export function metadataUpdateProblems(next: ObjectMeta, old: ObjectMeta): FieldProblem[] {
  const problems: FieldProblem[] = [];
  if (old.deletionTimestamp !== undefined) {
    const added = (next.finalizers ?? []).filter((name) => !(old.finalizers ?? []).includes(name));
    if (added.length > 0) {
      const list = added.map((name) => `"${name}"`).join(', ');
      const detail = `no new finalizers can be added if the object is being deleted, found new finalizers []string{${list}}`;
      problems.push(forbidden('metadata.finalizers', detail));
    }
  }
  return problems;
}
