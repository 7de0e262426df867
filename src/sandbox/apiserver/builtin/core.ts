import { isSameJson, listAt, objectAt, scalarText, textAt, valueAt, type KubeObject } from '../object.ts';
import { AGE_COLUMN, column, NAME_COLUMN } from '../output/columns.ts';
import { labelProblems, subdomainProblems } from '../registry/names.ts';
import type { ResourceKind } from '../registry/resource-kind.ts';
import { forbidden, invalidValue, requiredValue, tooLong, type FieldProblem } from '../schema/field-problem.ts';
import { StatusError } from '../status-error.ts';
import { defineKind } from './define-kind.ts';

const MAX_DATA_BYTES = 1024 * 1024;
/** Namespaces that a cluster cannot do without. */
const IMMORTAL_NAMESPACES = ['default', 'kube-system', 'kube-public'];

export const NAMESPACE: ResourceKind = defineKind({
  group: '',
  version: 'v1',
  kind: 'Namespace',
  plural: 'namespaces',
  shortNames: ['ns'],
  isNamespaced: false,
  verbs: ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'],
  hasStatus: true,
  columns: [NAME_COLUMN, column('Status', (object) => textAt(object, 'status', 'phase')), AGE_COLUMN],
  selectableFields: { 'status.phase': (object) => textAt(object, 'status', 'phase') },
  strategy: {
    nameProblems: labelProblems,
    prepareCreate(object) {
      object.spec = { finalizers: ['kubernetes'] };
      object.status = { phase: 'Active' };
      object.metadata.labels = { ...object.metadata.labels, 'kubernetes.io/metadata.name': object.metadata.name };
    },
    prepareUpdate(object, old) {
      object.spec = old.spec ?? {};
      object.metadata.labels = { ...object.metadata.labels, 'kubernetes.io/metadata.name': object.metadata.name };
    },
    isHeld: (object) => listAt(object, 'spec', 'finalizers').length > 0,
    markDeleted(object) {
      object.status = { ...objectAt(object, 'status'), phase: 'Terminating' };
    },
    checkDelete({ metadata }) {
      if (!IMMORTAL_NAMESPACES.includes(metadata.name)) return;
      const message = `namespaces "${metadata.name}" is forbidden: this namespace may not be deleted`;
      throw new StatusError(403, 'Forbidden', message, { details: { name: metadata.name, kind: 'namespaces' } });
    },
  },
});

const DATA_KEY = /^[-._a-zA-Z0-9]+$/;

function dataProblems(object: KubeObject, maps: readonly string[]): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const seen = new Set<string>();
  let bytes = 0;
  for (const map of maps) {
    for (const [key, value] of Object.entries(objectAt(object, map))) {
      const path = `${map}[${key}]`;
      if (!DATA_KEY.test(key) || key.length > 253 || key === '.' || key === '..') {
        const detail = `a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')`;
        problems.push(invalidValue(path, key, detail));
      }
      if (seen.has(key)) problems.push(invalidValue(path, key, 'duplicate of key present in data'));
      seen.add(key);
      bytes += Buffer.byteLength(typeof value === 'string' ? value : '');
    }
  }
  return bytes > MAX_DATA_BYTES ? [...problems, tooLong('', MAX_DATA_BYTES)] : problems;
}

/** What an object with `immutable: true` may not change. */
function immutableProblems(object: KubeObject, old: KubeObject | undefined, maps: readonly string[]): FieldProblem[] {
  if (old?.immutable !== true) return [];
  const detail = 'field is immutable when `immutable` is set';
  const changed = maps.filter((map) => !isSameJson(objectAt(object, map), objectAt(old, map)));
  if (object.immutable !== true) changed.unshift('immutable');
  return changed.map((field) => forbidden(field, detail));
}

export const CONFIG_MAP: ResourceKind = defineKind({
  group: '',
  version: 'v1',
  kind: 'ConfigMap',
  plural: 'configmaps',
  shortNames: ['cm'],
  isNamespaced: true,
  columns: [
    NAME_COLUMN,
    column('Data', (object) =>
      String(Object.keys(objectAt(object, 'data')).length + Object.keys(objectAt(object, 'binaryData')).length),
    ),
    AGE_COLUMN,
  ],
  strategy: {
    validate: (object, old) => [
      ...dataProblems(object, ['data', 'binaryData']),
      ...immutableProblems(object, old, ['data', 'binaryData']),
    ],
  },
});

export const SECRET: ResourceKind = defineKind({
  group: '',
  version: 'v1',
  kind: 'Secret',
  plural: 'secrets',
  isNamespaced: true,
  columns: [
    NAME_COLUMN,
    column('Type', (object) => textAt(object, 'type')),
    column('Data', (object) => String(Object.keys(objectAt(object, 'data')).length)),
    AGE_COLUMN,
  ],
  selectableFields: { type: (object) => textAt(object, 'type') },
  strategy: {
    prepareCreate: mergeStringData,
    prepareUpdate: mergeStringData,
    validate: (object, old) => [
      ...dataProblems(object, ['data']),
      ...immutableProblems(object, old, ['data']),
      ...(old && old.type !== object.type ? [invalidValue('type', object.type, 'field is immutable')] : []),
    ],
  },
});

function mergeStringData(object: KubeObject): void {
  object.type ??= 'Opaque';
  const encoded = Object.entries(objectAt(object, 'stringData')).map(
    ([key, value]) => [key, Buffer.from(scalarText(value)).toString('base64')] as const,
  );
  delete object.stringData;
  if (encoded.length > 0) object.data = { ...objectAt(object, 'data'), ...Object.fromEntries(encoded) };
}

export const SERVICE_ACCOUNT: ResourceKind = defineKind({
  group: '',
  version: 'v1',
  kind: 'ServiceAccount',
  plural: 'serviceaccounts',
  shortNames: ['sa'],
  isNamespaced: true,
  columns: [NAME_COLUMN, column('Secrets', (object) => String(listAt(object, 'secrets').length)), AGE_COLUMN],
  strategy: { returnsDeleted: true, nameProblems: subdomainProblems },
});

export const ENDPOINTS: ResourceKind = defineKind({
  group: '',
  version: 'v1',
  kind: 'Endpoints',
  plural: 'endpoints',
  shortNames: ['ep'],
  isNamespaced: true,
  columns: [NAME_COLUMN, column('Endpoints', endpointsText), AGE_COLUMN],
  strategy: {
    createsOnUpdate: true,
    validate: (object) =>
      listAt(object, 'subsets').flatMap((subset, index) => {
        const addresses = [...listAt(subset, 'addresses'), ...listAt(subset, 'notReadyAddresses')];
        return addresses.length > 0
          ? []
          : [requiredValue(`subsets[${index}]`, 'must specify `addresses` or `notReadyAddresses`')];
      }),
  },
});

function endpointsText(object: KubeObject): string {
  const all = listAt(object, 'subsets').flatMap((subset) => {
    const ports = listAt(subset, 'ports');
    return listAt(subset, 'addresses').flatMap((address) =>
      ports.length === 0
        ? [textAt(address, 'ip')]
        : ports.map((port) => `${textAt(address, 'ip')}:${scalarText(valueAt(port, 'port'))}`),
    );
  });
  if (all.length === 0) return '<none>';
  return all.length <= 3 ? all.join(',') : `${all.slice(0, 3).join(',')} + ${all.length - 3} more...`;
}
