import { isDeepStrictEqual } from 'node:util';
import {
  childPath,
  indexPath,
  invalidValue,
  requiredValue,
  unsupportedValue,
  type FieldProblem,
} from './field-problem.ts';
import { schemaAt } from './extension-rules.ts';
import { isJsonObject, type JsonObject, type JsonSchema, type JsonValue } from './json-schema.ts';
import { validateStructuralSchema } from './structural-rules.ts';

const LABEL = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const LABEL_HINT =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const SUBDOMAIN_HINT =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const SCOPES = ['Cluster', 'Namespaced'];
const COLUMN_TYPES = ['boolean', 'date', 'integer', 'number', 'string'];
const COLUMN_FORMATS = ['byte', 'date', 'date-time', 'double', 'float', 'int32', 'int64', 'password'];

/**
 * Every problem of a CustomResourceDefinition (apiextensions.k8s.io/v1, with its defaults filled in): names, versions,
 * columns, subresources, and schemas that are not structural or hold rules that do not compile. Paths are the real
 * server's: what all versions share is reported once, where its internal version keeps it (`spec.validation`).
 */
export function validateCustomResourceDefinition(crd: JsonObject): FieldProblem[] {
  const spec = object(crd['spec']);
  const versions = list(spec['versions']).map(object);
  return [
    ...nameProblems(crd, spec),
    ...groupProblems(spec),
    ...namesProblems(object(spec['names'])),
    ...versionProblems(versions),
    ...schemaProblems(versions),
    ...versions.flatMap((version, index) => columnProblems(version, sharedPath(versions, index))),
    ...versions.flatMap((version, index) => subresourceProblems(version, sharedPath(versions, index))),
    ...selectableFieldProblems(versions),
    ...conversionProblems(spec),
    ...protectionProblems(crd, text(spec['group'])),
  ];
}

/** Where the real server keeps what a version says of itself: what the only version says is said of all. */
function sharedPath(versions: readonly JsonObject[], index: number): string {
  return versions.length === 1 ? 'spec' : indexPath('spec.versions', index);
}

function object(value: JsonValue | undefined): JsonObject {
  return isJsonObject(value) ? value : {};
}

function list(value: JsonValue | undefined): JsonValue[] {
  return Array.isArray(value) ? value : [];
}

function text(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : '';
}

function nameProblems(crd: JsonObject, spec: JsonObject): FieldProblem[] {
  const name = text(object(crd['metadata'])['name']);
  const wanted = `${text(object(spec['names'])['plural'])}.${text(spec['group'])}`;
  return name === wanted ? [] : [invalidValue('metadata.name', name, 'must be spec.names.plural+"."+spec.group')];
}

function groupProblems(spec: JsonObject): FieldProblem[] {
  const group = text(spec['group']);
  const scope = text(spec['scope']);
  const problems: FieldProblem[] = [];
  if (group === '') problems.push(requiredValue('spec.group'));
  else if (!SUBDOMAIN.test(group)) problems.push(invalidValue('spec.group', group, SUBDOMAIN_HINT));
  else if (!group.includes('.'))
    problems.push(invalidValue('spec.group', group, 'should be a domain with at least one dot'));
  if (scope === '') problems.push(requiredValue('spec.scope'));
  else if (!SCOPES.includes(scope)) problems.push(unsupportedValue('spec.scope', scope, SCOPES));
  return problems;
}

function namesProblems(names: JsonObject): FieldProblem[] {
  const path = 'spec.names';
  const problems: FieldProblem[] = [];
  for (const name of ['plural', 'singular', 'kind', 'listKind']) {
    const value = text(names[name]);
    const isKind = name === 'kind' || name === 'listKind';
    if (value === '') problems.push(requiredValue(childPath(path, name)));
    else if (!LABEL.test(isKind ? value.toLowerCase() : value)) {
      const hint = isKind ? `may have mixed case, but should otherwise match: ${LABEL_HINT}` : LABEL_HINT;
      problems.push(invalidValue(childPath(path, name), value, hint));
    }
  }
  if (text(names['kind']) !== '' && names['kind'] === names['listKind']) {
    problems.push(
      invalidValue(childPath(path, 'listKind'), text(names['listKind']), 'kind and listKind may not be the same'),
    );
  }
  for (const field of ['shortNames', 'categories']) {
    list(names[field]).forEach((word, index) => {
      if (!LABEL.test(text(word)))
        problems.push(invalidValue(indexPath(childPath(path, field), index), word, LABEL_HINT));
    });
  }
  return problems;
}

function versionProblems(versions: readonly JsonObject[]): FieldProblem[] {
  const path = 'spec.versions';
  const names = versions.map((version) => text(version['name']));
  const problems = names.flatMap((name, index) =>
    LABEL.test(name) ? [] : [invalidValue(childPath(indexPath(path, index), 'name'), name, LABEL_HINT)],
  );
  if (versions.length === 0) problems.push(requiredValue(path));
  if (new Set(names).size !== names.length)
    problems.push(invalidValue(path, [...versions], 'must contain unique version names'));
  if (versions.filter((version) => version['storage'] === true).length !== 1) {
    problems.push(invalidValue(path, [...versions], 'must have exactly one version marked as storage version'));
  }
  return problems;
}

function schemaProblems(versions: readonly JsonObject[]): FieldProblem[] {
  const schemas = versions.map((version) => object(version['schema'])['openAPIV3Schema']);
  const [first] = schemas;
  const isShared = schemas.every((schema) => isDeepStrictEqual(schema, first));
  const checked = isShared ? schemas.slice(0, 1) : schemas;
  return checked.flatMap((schema, index) => {
    const path = isShared ? 'spec.validation.openAPIV3Schema' : `spec.versions[${index}].schema.openAPIV3Schema`;
    if (!isJsonObject(schema))
      return [requiredValue(`spec.versions[${index}].schema.openAPIV3Schema`, 'schemas are required')];
    return validateStructuralSchema(schema, path);
  });
}

function columnProblems(version: JsonObject, parent: string): FieldProblem[] {
  const path = childPath(parent, 'additionalPrinterColumns');
  return list(version['additionalPrinterColumns']).flatMap((column, position) => {
    const { name, type, format, jsonPath } = object(column);
    const at = indexPath(path, position);
    const problems: FieldProblem[] = [];
    if (text(name) === '') problems.push(requiredValue(childPath(at, 'name')));
    if (text(type) === '')
      problems.push(requiredValue(childPath(at, 'type'), `must be one of ${COLUMN_TYPES.join(',')}`));
    else if (!COLUMN_TYPES.includes(text(type))) {
      problems.push(invalidValue(childPath(at, 'type'), text(type), `must be one of ${COLUMN_TYPES.join(',')}`));
    }
    if (text(format) !== '' && !COLUMN_FORMATS.includes(text(format))) {
      problems.push(invalidValue(childPath(at, 'format'), text(format), `must be one of ${COLUMN_FORMATS.join(',')}`));
    }
    return [...problems, ...jsonPathProblems(text(jsonPath), childPath(at, 'JSONPath'))];
  });
}

function jsonPathProblems(jsonPath: string, path: string): FieldProblem[] {
  if (jsonPath === '') return [requiredValue(path)];
  if (!jsonPath.startsWith('.')) return [invalidValue(path, jsonPath, 'must be a simple json path starting with .')];
  return [];
}

function subresourceProblems(version: JsonObject, parent: string): FieldProblem[] {
  const scale = object(version['subresources'])['scale'];
  if (!isJsonObject(scale)) return [];
  const path = childPath(parent, 'subresources.scale');
  const fields: [name: string, root: string][] = [
    ['specReplicasPath', '.spec'],
    ['statusReplicasPath', '.status'],
  ];
  return fields.flatMap(([name, root]) => {
    const value = text(scale[name]);
    if (value === '') return [requiredValue(childPath(path, name))];
    return value.startsWith(`${root}.`)
      ? []
      : [invalidValue(childPath(path, name), value, `should be a json path under ${root}`)];
  });
}

/** A field that lists can be narrowed by is a scalar of the schema. */
function selectableFieldProblems(versions: readonly JsonObject[]): FieldProblem[] {
  return versions.flatMap((version, index) => {
    const path = sharedPath(versions, index);
    const schema = object(object(version['schema'])['openAPIV3Schema']) as unknown as JsonSchema;
    return list(version['selectableFields']).flatMap((field, position) => {
      const at = childPath(indexPath(childPath(path, 'selectableFields'), position), 'jsonPath');
      const jsonPath = text(object(field)['jsonPath']);
      if (jsonPath === '') return [requiredValue(at)];
      const found = schemaAt(jsonPath, schema);
      if (!found) return [invalidValue(at, jsonPath, 'is an invalid path: does not refer to a valid field')];
      if (['string', 'boolean', 'integer'].includes(found.type ?? '')) return [];
      const why =
        'must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.';
      return [invalidValue(at, jsonPath, why)];
    });
  });
}

const APPROVAL = 'api-approved.kubernetes.io';

/** Groups of Kubernetes itself need the annotation of those who approved the API. */
function protectionProblems(crd: JsonObject, group: string): FieldProblem[] {
  if (!/(^|\.)(k8s|kubernetes)\.io$/.test(group)) return [];
  const annotations = object(object(crd['metadata'])['annotations']);
  if (text(annotations[APPROVAL]) !== '') return [];
  const why = `protected groups must have approval annotation "${APPROVAL}", see https://github.com/kubernetes/enhancements/pull/1111`;
  return [requiredValue(`metadata.annotations[${APPROVAL}]`, why)];
}

function conversionProblems(spec: JsonObject): FieldProblem[] {
  const conversion = object(spec['conversion']);
  const strategy = text(conversion['strategy']);
  if (spec['preserveUnknownFields'] === true) {
    const why =
      'cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead';
    return [invalidValue('spec.preserveUnknownFields', true, why)];
  }
  if (strategy === 'Webhook' && !isJsonObject(object(conversion['webhook'])['clientConfig'])) {
    return [requiredValue('spec.conversion.webhookClientConfig', 'required when strategy is set to Webhook')];
  }
  return strategy === '' || strategy === 'None' || strategy === 'Webhook'
    ? []
    : [unsupportedValue('spec.conversion.strategy', strategy, ['None', 'Webhook'])];
}
